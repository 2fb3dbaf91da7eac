import { randomBytes } from "node:crypto";
import jwt from "jsonwebtoken";
import type { User } from "../../services/auth/accounts.schema.ts";
import type { SignedIn } from "../../services/auth/sessions.schema.ts";
import { buildEmail, buildPerson, httpFor, PASSWORD, type Person, signIn } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

/** Every printable character of ASCII but letters and blanks, and some of those. */
const PRINTABLE_64 = Array.from({ length: 64 }, (_, index) => String.fromCharCode(33 + index)).join("");

const CREDENTIAL = /correct horse|\$2[aby]\$/;

describe.each(systems)("accounts, %s", (_mode, system) => {
  const anyone = httpFor(system);

  describe("registration", () => {
    test("line 4: answers with the new user, who is no administrator, and where to read it", async () => {
      const email = buildEmail();
      const { status, headers, body } = await anyone.post<User>("/auth/register", {
        email,
        password: PASSWORD,
        name: " Ada ",
      });
      expect(status).toBe(201);
      expect(headers.get("location")).toBe("/auth/me");
      expect(headers.get("cache-control")).toBe("no-store");
      const stored = await query(system.databaseUrl, "SELECT role FROM auth.users WHERE email = $1", [email]);
      expect(stored).toEqual([{ role: "user" }]);
      expect(body).toEqual({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
        email,
        emailVerified: false,
        name: "Ada",
        role: "user",
        timeZone: "UTC",
        locale: "en",
        createdAt: expect.stringMatching(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/),
      });
    });

    test("keeps a bcrypt hash and never the password", async () => {
      const { user } = await buildPerson(system);
      const [row] = await query(system.databaseUrl, "SELECT * FROM auth.users WHERE id = $1", [user.id]);
      expect(row?.password_hash).toMatch(/^\$2b\$04\$/);
      expect(JSON.stringify(row)).not.toContain(PASSWORD);
    });

    test("line 5: treats addresses that differ in case, width or spaces as one", async () => {
      const email = buildEmail();
      await buildPerson(system, { email });
      const wide = email.replace("person", "ｐｅｒｓｏｎ");
      for (const same of [email.toUpperCase(), ` ${email} `, wide]) {
        const { status, body } = await anyone.post("/auth/register", { email: same, password: PASSWORD });
        expect({ status, body }).toMatchObject({ status: 409, body: { code: "email_taken" } });
      }
    });

    test("line 6: lets one of twenty at once have an address", async () => {
      const email = buildEmail();
      const answers = await Promise.all(
        Array.from({ length: 20 }, () => anyone.post("/auth/register", { email, password: PASSWORD })),
      );
      expect(answers.map(({ status }) => status).sort()).toEqual([
        201,
        ...Array.from({ length: 19 }, () => 409),
      ]);
      expect(
        await query(system.databaseUrl, "SELECT id FROM auth.users WHERE email = $1", [email]),
      ).toHaveLength(1);
    });

    test.each([
      ["line 1", "seven characters", "1234567"],
      ["line 1", "seven characters of two UTF-16 units each", "😀".repeat(7)],
      ["line 2", "73 bytes", "a".repeat(73)],
      ["line 2", "37 characters of two bytes", "é".repeat(37)],
      ["line 2", "a NUL", "long enough\u0000"],
      ["line 2", "a lone surrogate", "long enough\ud800"],
      ["line 10", "a number", 123456789],
    ])("%s: refuses a password of %s, and does not repeat it", async (_line, _what, password) => {
      const { status, body } = await anyone.post("/auth/register", { email: buildEmail(), password });
      expect(status).toBe(422);
      expect(body).toMatchObject({ code: "validation_failed", errors: [{ pointer: "/password" }] });
      expect(JSON.stringify(body)).not.toContain(String(password));
    });

    test.each([
      ["line 1", "eight characters", "q8#vTz1!", "q8#vTz1"],
      ["line 1", "64 characters", PRINTABLE_64, PRINTABLE_64.slice(0, 63)],
      ["line 2", "72 bytes", "é".repeat(36), "é".repeat(35)],
      ["line 3", "spaces around it, which are part of it", "  spaced  ", "spaced"],
    ])(
      "line %s: takes a password of %s, and it and nothing less signs in",
      async (_line, _what, password, less) => {
        const email = buildEmail();
        expect((await anyone.post("/auth/register", { email, password })).status).toBe(201);
        expect((await anyone.post("/auth/login", { email, password })).status).toBe(200);
        expect((await anyone.post("/auth/login", { email, password: less })).status).toBe(401);
      },
    );

    test("names everything that is wrong at once, with a hint for what was misspelt", async () => {
      const { status, body } = await anyone.post("/auth/register", {
        emial: "x",
        password: "short",
        role: "admin",
      });
      expect(status).toBe(422);
      expect(body).toMatchObject({
        errors: expect.arrayContaining([
          { pointer: "/email", code: "required", detail: expect.any(String) },
          { pointer: "/password", code: "too_short", detail: expect.any(String) },
          {
            pointer: "/emial",
            code: "unknown_field",
            detail: expect.stringContaining('did you mean "email"?'),
          },
          { pointer: "/role", code: "unknown_field", detail: expect.any(String) },
        ]),
      });
    });

    test.each(["role", "id", "userId", "emailVerified", "__proto__"])(
      "line 4: refuses %s, and nobody is made",
      async (field) => {
        const email = buildEmail();
        const raw = `{"email":"${email}","password":"${PASSWORD}","${field}":"admin"}`;
        const headers = { "Content-Type": "application/json" };
        const { status } = await anyone.send("POST", "/auth/register", { raw, headers });
        expect(status).toBe(422);
        expect(
          await query(system.databaseUrl, "SELECT id FROM auth.users WHERE email = $1", [email]),
        ).toEqual([]);
      },
    );

    test.each(["no-at", "@x.com", "a@", "a b@x.com", "a@x..com", "", null, 1, ["a@x.com"], { $ne: "" }])(
      "line 5: refuses %p as an address",
      async (email) => {
        const { status } = await anyone.post("/auth/register", { email, password: PASSWORD });
        expect(status).toBe(422);
      },
    );

    test("line 5: refuses an address of 100 kB", async () => {
      const { status } = await anyone.post("/auth/register", {
        email: `${"a".repeat(100_000)}@x.com`,
        password: PASSWORD,
      });
      expect(status).toBe(422);
    });
  });

  describe("signing in", () => {
    test("gives an access token with the promised claims and a refresh token", async () => {
      const { email, user } = await buildPerson(system);
      const { status, body } = await anyone.post<SignedIn>("/auth/login", {
        email: email.toUpperCase(),
        password: PASSWORD,
      });
      expect(status).toBe(200);
      expect(body).toEqual({
        accessToken: expect.any(String),
        tokenType: "Bearer",
        expiresIn: 600,
        refreshToken: expect.any(String),
        refreshExpiresIn: 604_800,
        user,
      });
      const token = jwt.decode(body.accessToken, { complete: true });
      expect(token?.header).toEqual({ alg: "ES256", typ: "at+jwt", kid: expect.any(String) });
      expect(token?.payload).toEqual({
        iss: expect.any(String),
        aud: expect.any(String),
        sub: user.id,
        user_id: user.id,
        email,
        role: "user",
        sid: expect.any(String),
        jti: expect.any(String),
        iat: expect.any(Number),
        exp: expect.any(Number),
      });
      expect(Number(jwt.decode(body.accessToken, { json: true })?.exp)).toBe(
        Number(jwt.decode(body.accessToken, { json: true })?.iat) + 600,
      );
    });

    test("line 8: answers a wrong password, an unknown address and a disabled account alike", async () => {
      const { email, user } = await buildPerson(system);
      const disabled = await buildPerson(system);
      await query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [
        disabled.user.id,
      ]);
      const answers = await Promise.all([
        anyone.post("/auth/login", { email, password: "not the password" }),
        anyone.post("/auth/login", { email: buildEmail(), password: PASSWORD }),
        anyone.post("/auth/login", { email: disabled.email, password: PASSWORD }),
      ]);
      const seen = answers.map(({ status, body, headers }) => ({
        status,
        body: { ...(body as object), requestId: "" },
        headers: [...headers.keys()].sort(),
        challenge: headers.get("www-authenticate"),
      }));
      expect(seen[0]).toMatchObject({ status: 401, body: { code: "invalid_credentials" } });
      expect(seen[1]).toEqual(seen[0]);
      expect(seen[2]).toEqual(seen[0]);
      expect(user.id).not.toBe(disabled.user.id);
    });

    test("line 2: does not take a longer password that begins with the right 72 bytes", async () => {
      const password = "x".repeat(72);
      const { email } = await buildPerson(system, { password });
      const { status } = await anyone.post("/auth/login", { email, password: `${password}y` });
      expect(status).toBe(401);
    });

    test.each([{ $ne: "" }, ["a@x.com"], 1, null, true])(
      "line 10: refuses %p as an address or a password",
      async (value) => {
        expect((await anyone.post("/auth/login", { email: value, password: PASSWORD })).status).toBe(422);
        expect((await anyone.post("/auth/login", { email: buildEmail(), password: value })).status).toBe(422);
      },
    );
  });

  describe("staying signed in", () => {
    const refresh = (refreshToken: unknown) => anyone.post<SignedIn>("/auth/refresh", { refreshToken });

    test("line 17: a refresh token works once and gives the next one", async () => {
      const { tokens, user } = await buildPerson(system);
      const first = await refresh(tokens.refreshToken);
      expect(first.status).toBe(200);
      expect(first.body.user).toEqual(user);
      expect(first.body.refreshToken).not.toBe(tokens.refreshToken);
      expect((await httpFor(system, first.body.accessToken).get("/auth/me")).status).toBe(200);
      expect((await refresh(first.body.refreshToken)).status).toBe(200);
    });

    test("line 17: the token before the current one gets the same successor, within ten seconds", async () => {
      const { tokens } = await buildPerson(system);
      const [one, two] = [await refresh(tokens.refreshToken), await refresh(tokens.refreshToken)];
      expect(two.body.refreshToken).toBe(one.body.refreshToken);
    });

    test("line 17: an older one ends the session, access token included, and is written down", async () => {
      const { tokens, http } = await buildPerson(system);
      const second = await refresh(tokens.refreshToken);
      const third = await refresh(second.body.refreshToken);
      const reused = await refresh(tokens.refreshToken);
      expect(reused).toMatchObject({ status: 401, body: { code: "invalid_refresh_token" } });
      expect((await refresh(third.body.refreshToken)).status).toBe(401);
      expect((await http.get("/auth/me")).status).toBe(401);
      const events = await query(
        system.databaseUrl,
        "SELECT result FROM auth.audit_events WHERE event = 'refresh_reuse' AND session_id = $1",
        [jwt.decode(tokens.accessToken, { json: true })?.sid],
      );
      expect(events).toEqual([{ result: "failure" }]);
    });

    test("line 18: twenty refreshes of one token at once make one rotation and one successor", async () => {
      const { tokens } = await buildPerson(system);
      const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(tokens.refreshToken)));
      expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
      expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1);
      const sid = jwt.decode(tokens.accessToken, { json: true })?.sid;
      const [session] = await query(
        system.databaseUrl,
        "SELECT refresh_counter FROM auth.sessions WHERE id = $1",
        [sid],
      );
      expect(session).toEqual({ refresh_counter: 1 });
    });

    test("line 18: a refresh against a logout at once ends dead", async () => {
      const { tokens, http } = await buildPerson(system);
      const [, refreshed] = await Promise.all([http.post("/auth/logout"), refresh(tokens.refreshToken)]);
      const latest = refreshed.status === 200 ? refreshed.body : tokens;
      expect((await refresh(latest.refreshToken)).status).toBe(401);
      expect((await httpFor(system, latest.accessToken).get("/auth/me")).status).toBe(401);
    });

    test("line 14, line 19: what is no refresh token, or no longer, is answered alike", async () => {
      const [{ tokens }, another, idle, old] = await Promise.all([
        buildPerson(system),
        buildPerson(system),
        buildPerson(system),
        buildPerson(system),
      ]);
      const age = (person: Person, column: string, days: number) =>
        query(
          system.databaseUrl,
          `UPDATE auth.sessions SET ${column} = now() - make_interval(days => $2) WHERE user_id = $1`,
          [person.user.id, days],
        );
      await Promise.all([age(idle, "refreshed_at", 7), age(old, "created_at", 30)]);
      const bytesOf = (token: string) => Buffer.from(token.slice(4), "base64url");
      const [own, others] = [bytesOf(tokens.refreshToken), bytesOf(another.tokens.refreshToken)];
      const spliced = Buffer.concat([own.subarray(0, 16), others.subarray(16)]);
      const wrong = [
        "x",
        idle.tokens.refreshToken,
        old.tokens.refreshToken,
        `tmr_${spliced.toString("base64url")}`,
        `tmr_${randomBytes(own.length).toString("base64url")}`,
        tokens.accessToken,
        tokens.refreshToken.slice(0, -2),
        `${tokens.refreshToken}x`,
        "tmr_",
      ];
      const answers = await Promise.all(wrong.map(refresh));
      for (const { status, body } of answers) {
        expect(status).toBe(401);
        expect({ ...body, requestId: "" }).toEqual({ ...answers[0]?.body, requestId: "" });
      }
    });

    test("a disabled user can't refresh", async () => {
      const { tokens, user } = await buildPerson(system);
      await query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [user.id]);
      expect((await refresh(tokens.refreshToken)).status).toBe(401);
    });

    test("line 20: nothing in the database is a token or a key", async () => {
      const { tokens } = await buildPerson(system);
      const rows = JSON.stringify([
        await query(system.databaseUrl, "SELECT * FROM auth.sessions"),
        await query(
          system.databaseUrl,
          "SELECT kid, public_jwk, encode(sealed_private_key, 'escape') FROM auth.signing_keys",
        ),
      ]);
      expect(rows).not.toContain(tokens.refreshToken.slice(4, 40));
      expect(rows).not.toContain(tokens.refreshToken.split("_")[1]?.slice(-40));
      expect(rows).not.toMatch(/PRIVATE KEY|"d":/);
    });
  });

  describe("signing out", () => {
    test("line 15: ends the session at once, and only this one", async () => {
      const person = await buildPerson(system);
      const other = await signIn(system, person);
      expect((await person.http.post("/auth/logout")).status).toBe(204);
      expect(await person.http.get("/auth/me")).toMatchObject({
        status: 401,
        body: { code: "invalid_token" },
      });
      expect((await anyone.post("/auth/refresh", { refreshToken: person.tokens.refreshToken })).status).toBe(
        401,
      );
      expect((await httpFor(system, other.accessToken).get("/auth/me")).status).toBe(200);
    });

    test("line 15: disabling a user is felt by the next request", async () => {
      const { http, user } = await buildPerson(system);
      await query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [user.id]);
      expect((await http.get("/tasks")).status).toBe(401);
    });
  });

  describe("the own account", () => {
    test("can be read and changed, field by field", async () => {
      const { http, user } = await buildPerson(system);
      expect((await http.get("/auth/me")).body).toEqual(user);
      const changed = await http.patch<User>("/auth/me", { timeZone: "europe/berlin", name: "Ada" });
      expect(changed).toMatchObject({
        status: 200,
        body: { ...user, timeZone: "Europe/Berlin", name: "Ada" },
      });
      expect((await http.patch<User>("/auth/me", { locale: "pt-br" })).body).toEqual({
        ...changed.body,
        locale: "pt-BR",
      });
      expect((await http.patch<User>("/auth/me", {})).body).toMatchObject({ name: "Ada", locale: "pt-BR" });
    });

    test.each([
      ["timeZone", "Mars/Olympus"],
      ["timeZone", "+03:00"],
      ["locale", "en_GB"],
      ["name", "x".repeat(101)],
      ["name", null],
      ["email", "other@example.test"],
      ["role", "admin"],
    ])("refuses %s = %p and changes nothing", async (field, value) => {
      const { http, user } = await buildPerson(system);
      const answer = await http.patch("/auth/me", {
        [field]: value,
        ...(field === "name" ? {} : { name: "Changed" }),
      });
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ pointer: `/${field}` }] } });
      expect((await http.get("/auth/me")).body).toEqual(user);
    });

    test("line 15, line 23: is deleted with the password only, is out with the next request, and takes sessions and tasks along", async () => {
      const person = await buildPerson(system);
      await person.http.post("/tasks", { title: "Gone soon" });
      expect(await person.http.delete("/auth/me", { password: "wrong" })).toMatchObject({
        status: 403,
        body: { code: "wrong_password" },
      });
      expect((await person.http.get("/auth/me")).status).toBe(200);
      expect((await person.http.delete("/auth/me", { password: PASSWORD })).status).toBe(204);
      expect((await person.http.get("/auth/me")).status).toBe(401);
      expect((await anyone.post("/auth/login", { email: person.email, password: PASSWORD })).status).toBe(
        401,
      );
      for (const table of ["auth.sessions", "tasks.tasks"]) {
        const rows = await query(system.databaseUrl, `SELECT 1 FROM ${table} WHERE user_id = $1`, [
          person.user.id,
        ]);
        expect(rows).toEqual([]);
      }
      expect((await anyone.post("/auth/register", { email: person.email, password: PASSWORD })).status).toBe(
        201,
      );
    });
  });

  describe("the signing keys", () => {
    test("line 16: are published in their public parts only, and verify an access token", async () => {
      const { tokens } = await buildPerson(system);
      const { status, headers, body } = await anyone.get<{ keys: Record<string, string>[] }>(
        "/.well-known/jwks.json",
      );
      expect(status).toBe(200);
      expect(headers.get("cache-control")).toMatch(/^public, max-age=\d+$/);
      expect(body.keys.map((key) => Object.keys(key).sort())).toEqual([
        ["alg", "crv", "kid", "kty", "use", "x", "y"],
      ]);
      const { createPublicKey } = await import("node:crypto");
      const key = createPublicKey({ key: body.keys[0] ?? {}, format: "jwk" });
      expect(jwt.verify(tokens.accessToken, key, { algorithms: ["ES256"] })).toHaveProperty("sub");
    });
  });

  test("line 7: no answer contains a password, a hash or another's token", async () => {
    const person = await buildPerson(system);
    const bodies = await Promise.all([
      person.http.get("/auth/me"),
      person.http.patch("/auth/me", { name: 5, password: PASSWORD }),
      anyone.post("/auth/login", { email: person.email, password: PASSWORD, extra: PASSWORD }),
      anyone.post("/auth/register", { email: person.email, password: PASSWORD }),
      person.http.delete("/auth/me", { password: [PASSWORD] }),
    ]);
    for (const { body } of bodies) expect(JSON.stringify(body)).not.toMatch(CREDENTIAL);
  });
});
