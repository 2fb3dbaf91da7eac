import bcrypt from "bcrypt";
import { createPasswords } from "./passwords.logic.ts";

const COST = 4;
const SEVENTY_TWO = "a".repeat(72);
const passwords = createPasswords({ cost: COST, maxBytes: 72, queue: (work) => work() });

afterEach(() => jest.restoreAllMocks());

describe("a password", () => {
  it("matches its own hash and no other", async () => {
    const hash = await passwords.hash("correct horse");

    expect(await passwords.matches("correct horse", hash)).toBe(true);
    for (const other of ["correct hors", "correct horse ", "Correct horse", ""]) {
      expect([other, await passwords.matches(other, hash)]).toEqual([other, false]);
    }
  });

  it("of 72 bytes with anything after it is refused, though bcrypt takes it for the same", async () => {
    for (const stored of [SEVENTY_TWO, "é".repeat(36)]) {
      const hash = await passwords.hash(stored);
      expect(await passwords.matches(stored, hash)).toBe(true);
      for (const tail of ["a", "é", " ", "x".repeat(1000)]) {
        expect(await bcrypt.compare(stored + tail, hash)).toBe(true);
        expect([tail, await passwords.matches(stored + tail, hash)]).toEqual([tail, false]);
      }
    }
  });

  it("costs one comparison at the same cost, whatever is wrong", async () => {
    const hash = await passwords.hash(SEVENTY_TWO);
    const compare = jest.spyOn(bcrypt, "compare");
    const cases: [string, string, string | null][] = [
      ["right", SEVENTY_TWO, hash],
      ["wrong", "wrong", hash],
      ["too long", `${SEVENTY_TWO}a`, hash],
      ["no such user", SEVENTY_TWO, null],
      ["no such user and too long", `${SEVENTY_TWO}a`, null],
      ["the password of nobody", "nobody's password", null],
    ];
    for (const [name, password, against] of cases) {
      compare.mockClear();
      const matches = await passwords.matches(password, against);
      const rounds = compare.mock.calls.map(([, compared]) => bcrypt.getRounds(compared));
      expect([name, matches, rounds]).toEqual([name, name === "right", [COST]]);
    }
  });

  it("is hashed with its own salt each time", async () => {
    const [one, other] = await Promise.all([passwords.hash("same"), passwords.hash("same")]);
    expect(one).not.toBe(other);
  });
});
