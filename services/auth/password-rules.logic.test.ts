import { findWeakness } from "./password-rules.logic.ts";

const ada = { email: "ada.lovelace@example.com" };
const codeOf = (password: string, person = ada) => findWeakness(password, person)?.code ?? null;

describe("a new password", () => {
  it.each(["password", "PassWord", "12345678", "qwertyuiop", "trustno1", "ｐａｓｓｗｏｒｄ"])(
    "%s is refused as a common one",
    (password) => {
      expect(codeOf(password)).toBe("too_common");
    },
  );

  it.each([
    "ada.lovelace@example.com",
    "ADA.Lovelace@Example.COM",
    "ada.lovelace@example.com!",
    "ada.lovelace",
    "Ada.Lovelace1815",
    "ada.lovelaceada.lovelace",
  ])("line 3: %s is refused as the e-mail address", (password) => {
    expect(codeOf(password)).toBe("contains_email");
  });

  it.each(["taskmesh", "TaskMesh", "taskmesh2026!", "taskmeshtaskmesh"])(
    "%s is refused as the product's name",
    (password) => {
      expect(codeOf(password)).toBe("contains_product_name");
    },
  );

  it.each([
    "correct horse battery staple",
    "taskmesh is where I work",
    "my name is ada.lovelace",
    "x".repeat(64),
    "aaaaaaab!",
    "  spaced  ",
    "йцукенгшщз-42",
  ])("line 3: %s is taken: there are no rules of composition", (password) => {
    expect(codeOf(password)).toBeNull();
  });

  it("may contain a short local part, which is in many words by chance", () => {
    expect(codeOf("canada dry", { email: "ada@example.com" })).toBeNull();
    expect(codeOf("ada@example.com", { email: "ada@example.com" })).toBe("contains_email");
  });

  it("needs eight characters beside a word of four", () => {
    const anna = { email: "anna@example.com" };
    expect([codeOf("anna1234567", anna), codeOf("anna12345678", anna)]).toEqual(["contains_email", null]);
  });

  it.each([
    ["qwertyuiop", "This is one of the passwords that are tried first."],
    ["ada.lovelace", "This is hardly more than the e-mail address."],
    ["taskmesh", "This is hardly more than the product's name."],
  ])("line 7: is told why it is weak without being repeated: %s", (password, detail) => {
    expect(findWeakness(password, ada)?.detail).toBe(detail);
  });
});
