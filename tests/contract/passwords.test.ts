import { buildEmail, buildPerson, httpFor, PASSWORD, signIn } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

const weak = (email: string): [string, string][] => [
  ["qwertyuiop", "too_common"],
  ["QwertyUiop", "too_common"],
  [email, "contains_email"],
  [email.toUpperCase(), "contains_email"],
  [email.slice(0, email.indexOf("@")), "contains_email"],
  ["TaskMesh", "contains_product_name"],
  ["taskmesh-2026", "contains_product_name"],
];

describe.each(systems)("passwords, %s", (_mode, system) => {
  const anyone = httpFor(system);

  test("line 3: a common one, the e-mail address and the product's name are refused with the reason", async () => {
    const email = buildEmail();
    for (const [password, code] of weak(email)) {
      const { status, body } = await anyone.post("/auth/register", { email, password });
      expect({ password, status, body }).toMatchObject({
        status: 422,
        body: {
          code: "validation_failed",
          errors: [{ pointer: "/password", code, detail: expect.any(String) }],
        },
      });
      expect(JSON.stringify(body)).not.toContain(password);
    }
    expect(await query(system.databaseUrl, "SELECT id FROM auth.users WHERE email = $1", [email])).toEqual(
      [],
    );
  });

  test("line 3: so are they as a new password, and the old one stays", async () => {
    const person = await buildPerson(system);
    for (const [newPassword, code] of weak(person.email)) {
      const { status, body } = await person.http.post("/auth/password", {
        currentPassword: PASSWORD,
        newPassword,
      });
      expect({ newPassword, status, body }).toMatchObject({
        status: 422,
        body: { code: "validation_failed", errors: [{ pointer: "/newPassword", code }] },
      });
    }
    await signIn(system, person);
  });

  test.each(["aaaaaaab!", "  spaced  ", "ПарольНаСегодня", "x".repeat(64), "the taskmesh of my dreams"])(
    "line 3: %j is taken: no rules of composition, no trimming",
    async (password) => {
      const person = await buildPerson(system, { password });
      if (password.trim() === password) return;
      const { status } = await anyone.post("/auth/login", {
        email: person.email,
        password: password.trim(),
      });
      expect(status).toBe(401);
    },
  );

  test("line 8: unknown address, wrong password and disabled account have one status, body and headers", async () => {
    const [known, disabled] = [await buildPerson(system), await buildPerson(system)];
    await query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [
      disabled.user.id,
    ]);
    const attempts = [
      { email: buildEmail(), password: PASSWORD },
      { email: known.email, password: "not the password" },
      { email: known.email, password: "x".repeat(200) },
      { email: disabled.email, password: PASSWORD },
      { email: disabled.email, password: "not the password" },
    ];
    const seen = [];
    for (const attempt of attempts) {
      const answer = await anyone.post<object>("/auth/login", attempt, {
        headers: { "X-Request-Id": "same" },
      });
      const { date: _, ...headers } = Object.fromEntries(answer.headers);
      seen.push({ ...answer, headers });
    }
    expect(seen[0]).toMatchObject({ status: 401, body: { code: "invalid_credentials" } });
    for (const each of seen) expect(each).toEqual(seen[0]);
  });
});
