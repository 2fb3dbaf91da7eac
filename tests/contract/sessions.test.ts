import type { ApiToken } from "../../services/auth/api-tokens.schema.ts";
import type { Session } from "../../services/auth/sessions.schema.ts";
import { buildPerson, buildTask, httpFor, PASSWORD, signIn } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

interface Items<T> {
  items: T[];
}

describe.each(systems)("sessions and tokens, %s", (_mode, system) => {
  const anyone = httpFor(system);

  describe("sessions", () => {
    test("are listed with where and when they were used, and which one asks", async () => {
      const person = await buildPerson(system);
      const login = await anyone.post<{ accessToken: string }>(
        "/auth/login",
        { email: person.email, password: PASSWORD },
        { headers: { "User-Agent": "Another browser" } },
      );
      const { status, body } = await httpFor(system, login.body.accessToken).get<Items<Session>>(
        "/auth/sessions",
      );
      expect(status).toBe(200);
      expect(body.items).toHaveLength(2);
      expect(body.items.find(({ current }) => current)).toEqual({
        id: expect.any(String),
        createdAt: expect.any(String),
        lastUsedAt: expect.any(String),
        ip: "127.0.0.1",
        userAgent: "Another browser",
        current: true,
      });
      expect(body.items.filter(({ current }) => current)).toHaveLength(1);
    });

    test("one can be ended, all others can be ended, and each is felt by the next request", async () => {
      const person = await buildPerson(system);
      const [one, two] = [await signIn(system, person), await signIn(system, person)];
      const { body } = await httpFor(system, one.accessToken).get<Items<Session>>("/auth/sessions");
      const oneId = body.items.find(({ current }) => current)?.id;
      expect((await person.http.delete(`/auth/sessions/${oneId}`)).status).toBe(204);
      expect((await httpFor(system, one.accessToken).get("/auth/me")).status).toBe(401);
      expect((await person.http.delete(`/auth/sessions/${oneId}`)).status).toBe(404);
      expect((await httpFor(system, two.accessToken).get("/auth/me")).status).toBe(200);
      expect((await person.http.delete("/auth/sessions")).status).toBe(204);
      expect((await httpFor(system, two.accessToken).get("/auth/me")).status).toBe(401);
      expect((await anyone.post("/auth/refresh", { refreshToken: two.refreshToken })).status).toBe(401);
      expect((await person.http.get<Items<Session>>("/auth/sessions")).body.items).toHaveLength(1);
    });

    test("line 21: another person's session is not found, and goes on", async () => {
      const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
      const { body } = await bob.http.get<Items<Session>>("/auth/sessions");
      expect((await ada.http.delete(`/auth/sessions/${body.items[0]?.id}`)).status).toBe(404);
      expect((await bob.http.get("/auth/me")).status).toBe(200);
    });

    test("line 21: a password change needs the current one and ends every other session", async () => {
      const person = await buildPerson(system);
      const other = await signIn(system, person);
      const change = (currentPassword: string, newPassword: string) =>
        person.http.post("/auth/password", { currentPassword, newPassword });
      const fresh = "another horse, another battery";
      expect(await change("wrong", fresh)).toMatchObject({ status: 403, body: { code: "wrong_password" } });
      expect((await change(PASSWORD, "short")).status).toBe(422);
      expect((await httpFor(system, other.accessToken).get("/auth/me")).status).toBe(200);
      expect((await change(PASSWORD, fresh)).status).toBe(204);
      expect((await httpFor(system, other.accessToken).get("/auth/me")).status).toBe(401);
      expect((await person.http.get("/auth/me")).status).toBe(200);
      expect((await anyone.post("/auth/login", { email: person.email, password: PASSWORD })).status).toBe(
        401,
      );
      expect((await anyone.post("/auth/login", { email: person.email, password: fresh })).status).toBe(200);
    });
  });

  describe("API tokens", () => {
    const create = (http: ReturnType<typeof httpFor>, fields: object) =>
      http.post<ApiToken & { token: string }>("/auth/tokens", {
        name: "Export",
        scopes: ["tasks:read"],
        ...fields,
      });

    test("line 20: are shown once, stored hashed, and work as far as their scopes", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person);
      const { status, headers, body } = await create(person.http, {});
      expect(status).toBe(201);
      expect(headers.get("location")).toBe(`/auth/tokens/${body.id}`);
      expect(body.token).toMatch(/^tmp_[A-Za-z0-9_-]{64}$/);
      const token = httpFor(system, body.token);
      expect((await token.get("/tasks")).body).toMatchObject({ items: [{ id: task.id }] });
      for (const answer of [
        await token.post("/tasks", { title: "x" }),
        await token.patch(`/tasks/${task.id}`, { title: "x" }),
        await token.delete(`/tasks/${task.id}`),
        await token.get("/auth/me"),
        await token.post("/auth/tokens", { name: "more", scopes: ["tasks:read"] }),
      ]) {
        expect(answer).toMatchObject({ status: 403, body: { code: "insufficient_scope" } });
        expect(answer.headers.get("www-authenticate")).toContain('error="insufficient_scope"');
      }
      const ask = async () => (await person.http.get<Items<ApiToken>>("/auth/tokens")).body;
      let list = await ask();
      // A use is written down beside the answer, not before it.
      while (list.items[0]?.lastUsedAt === null) list = await ask();
      expect(list.items).toEqual([
        {
          id: body.id,
          name: "Export",
          scopes: ["tasks:read"],
          createdAt: body.createdAt,
          expiresAt: null,
          lastUsedAt: expect.any(String),
        },
      ]);
      const rows = await query(
        system.databaseUrl,
        "SELECT encode(secret_hash, 'base64') AS hash FROM auth.api_tokens",
      );
      expect(JSON.stringify(rows)).not.toContain(body.token.slice(30, 60));
    });

    test("can't make others, nor end a session, which they don't have", async () => {
      const person = await buildPerson(system);
      const { body } = await create(person.http, { scopes: ["account"] });
      const token = httpFor(system, body.token);
      for (const answer of [
        await create(token, { scopes: ["account"] }),
        await create(token, { scopes: ["tasks:write"] }),
        await token.post("/auth/logout"),
      ])
        expect(answer).toMatchObject({ status: 403, body: { code: "forbidden" } });
      expect((await token.get<Items<ApiToken>>("/auth/tokens")).body.items).toHaveLength(1);
    });

    test("end at once by being deleted, by expiring, and with the account", async () => {
      const person = await buildPerson(system);
      const [deleted, kept] = [(await create(person.http, {})).body, (await create(person.http, {})).body];
      expect((await httpFor(system, deleted.token).get("/tasks")).status).toBe(200);
      expect((await person.http.delete(`/auth/tokens/${deleted.id}`)).status).toBe(204);
      expect((await httpFor(system, deleted.token).get("/tasks")).status).toBe(401);
      await query(system.databaseUrl, "UPDATE auth.api_tokens SET expires_at = now() WHERE id = $1", [
        kept.id,
      ]);
      expect((await httpFor(system, kept.token).get("/tasks")).status).toBe(401);
      const last = (await create(person.http, {})).body;
      expect((await person.http.delete("/auth/me", { password: PASSWORD })).status).toBe(204);
      expect((await httpFor(system, last.token).get("/tasks")).status).toBe(401);
    });

    test("another person's is not found, and works on", async () => {
      const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
      const { body } = await create(bob.http, {});
      expect((await ada.http.delete(`/auth/tokens/${body.id}`)).status).toBe(404);
      expect((await ada.http.get<Items<ApiToken>>("/auth/tokens")).body.items).toEqual([]);
      expect((await httpFor(system, body.token).get("/tasks")).status).toBe(200);
    });

    test.each([
      ["no scopes", { scopes: [] }, "/scopes"],
      ["an unknown scope", { scopes: ["admin"] }, "/scopes/0"],
      ["no name", { name: " " }, "/name"],
      ["a past expiry", { expiresAt: "2020-01-01T00:00:00Z" }, "/expiresAt"],
      ["a date as expiry", { expiresAt: "2999-01-01" }, "/expiresAt"],
    ])("are refused with %s", async (_, fields, pointer) => {
      const { http } = await buildPerson(system);
      expect(await create(http, fields)).toMatchObject({ status: 422, body: { errors: [{ pointer }] } });
    });

    test("need an instant to end at: a date is told so", async () => {
      const { http } = await buildPerson(system);
      const { body } = await create(http, { expiresAt: "2999-01-01" });
      expect(body).toMatchObject({
        errors: [{ detail: '"expiresAt" must be an instant like 2026-12-01T09:00:00+03:00.' }],
      });
    });

    test("altered, cut or made up are no tokens", async () => {
      const person = await buildPerson(system);
      const { body } = await create(person.http, {});
      const other = (await create(person.http, {})).body.token;
      const wrong = [
        `${body.token}x`,
        body.token.slice(0, -1),
        body.token.slice(0, 26) + other.slice(26),
        "tmp_",
        `tmp_${"A".repeat(64)}`,
      ];
      for (const token of wrong) expect((await httpFor(system, token).get("/tasks")).status).toBe(401);
    });
  });

  describe("administrators", () => {
    const buildAdmin = async () => {
      const admin = await buildPerson(system);
      await query(system.databaseUrl, "UPDATE auth.users SET role = 'admin' WHERE id = $1", [admin.user.id]);
      return admin;
    };

    test("line 22: nobody else gets in, and no API token does", async () => {
      const [person, admin] = await Promise.all([buildPerson(system), buildAdmin()]);
      const { body } = await create(admin.http);
      for (const http of [person.http, httpFor(system, body.token)]) {
        for (const answer of [
          await http.get("/users"),
          await http.patch(`/users/${person.user.id}`, { role: "admin" }),
          await http.get("/audit-events"),
        ]) {
          expect(answer).toMatchObject({ status: 403, body: { code: "forbidden" } });
        }
      }
      expect((await person.http.get("/auth/me")).body).toMatchObject({ role: "user" });

      function create(http: ReturnType<typeof httpFor>) {
        return http.post<{ token: string }>("/auth/tokens", { name: "x", scopes: ["account", "tasks:read"] });
      }
    });

    test("list and search users, whatever is in the search", async () => {
      const [admin, person] = await Promise.all([buildAdmin(), buildPerson(system)]);
      const search = encodeURIComponent(person.email.slice(3, 20).toUpperCase());
      const { body } = await admin.http.get(`/users?search=${search}`);
      expect(body).toEqual({ items: [{ ...person.user, disabled: false }], nextCursor: null });
      expect((await admin.http.get("/users?search=%25_%27")).body).toEqual({ items: [], nextCursor: null });
      for (const list of ["/users", "/audit-events"]) {
        const wrong = await admin.http.get(`${list}?cursor=abc`);
        expect(wrong).toMatchObject({ status: 400, body: { code: "invalid_cursor" } });
      }
      const page = await admin.http.get<{ items: { id: string }[]; nextCursor: string }>("/users?limit=1");
      expect(page.headers.get("link")).toContain(page.body.nextCursor);
      const next = await admin.http.get<{ items: { id: string }[] }>(
        `/users?limit=1&cursor=${page.body.nextCursor}`,
      );
      expect(next.body.items[0]?.id).not.toBe(page.body.items[0]?.id);
    });

    test("line 15: disabling and a lowered role are felt by the next request", async () => {
      const [admin, person] = await Promise.all([buildAdmin(), buildPerson(system)]);
      expect((await person.http.get("/tasks")).status).toBe(200);
      const disabled = await admin.http.patch(`/users/${person.user.id}`, { disabled: true });
      expect(disabled).toMatchObject({ status: 200, body: { disabled: true } });
      expect((await person.http.get("/tasks")).status).toBe(401);
      expect((await anyone.post("/auth/refresh", { refreshToken: person.tokens.refreshToken })).status).toBe(
        401,
      );
      await admin.http.patch(`/users/${person.user.id}`, { disabled: false, role: "admin" });
      expect((await person.http.get("/users?limit=1")).status).toBe(200);
      await admin.http.patch(`/users/${person.user.id}`, { role: "user" });
      expect((await person.http.get("/users?limit=1")).status).toBe(403);
    });

    test("refuse what does not fit, and find nobody where there is nobody", async () => {
      const admin = await buildAdmin();
      expect((await admin.http.patch(`/users/${admin.user.id}`, { role: "root" })).status).toBe(422);
      expect((await admin.http.patch(`/users/${admin.user.id}`, { disabled: "true" })).status).toBe(422);
      expect(
        (await admin.http.patch("/users/01a20414-20d2-704d-a37f-36b70affce42", { role: "user" })).status,
      ).toBe(404);
    });

    test("line 31: can read what happened, with session, address and result, and no line is forged", async () => {
      const [admin, person] = await Promise.all([buildAdmin(), buildPerson(system)]);
      const forged = 'Mozilla {"audit":{"event":"role_change"}} \\n fake';
      await anyone.post(
        "/auth/login",
        { email: person.email, password: "wrong wrong" },
        { headers: { "User-Agent": forged } },
      );
      await anyone.post("/auth/refresh", { refreshToken: person.tokens.refreshToken });
      await person.http.post("/auth/password", {
        currentPassword: "wrong",
        newPassword: "a new password, long",
      });
      await admin.http.patch(`/users/${person.user.id}`, { role: "user" });
      await person.http.post("/auth/logout");
      const { body } = await admin.http.get<Items<{ event: string; result: string; userAgent: string }>>(
        `/audit-events?userId=${person.user.id}`,
      );
      expect(body.items.map(({ event, result }) => `${event} ${result}`)).toEqual([
        "logout success",
        "role_change success",
        "password_change failure",
        "refresh success",
        "login failure",
        "login success",
        "register success",
      ]);
      expect(body.items[4]?.userAgent).toBe(forged);
      expect(JSON.stringify(body)).not.toContain(PASSWORD);
    });
  });
});
