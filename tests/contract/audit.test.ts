import { setTimeout as delay } from "node:timers/promises";
import jwt from "jsonwebtoken";
import { AUDIT_EVENTS } from "../../services/auth/admin.schema.ts";
import { createMailedTokens, type Purpose } from "../../services/auth/mailed-tokens.logic.ts";
import { buildEmail, buildPerson, httpFor, PASSWORD, type Person, signIn } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

/** Those that throttling.test.ts and clients.test.ts cause. */
const CAUSED_ELSEWHERE = ["throttle", "client_passport"];
const NEW_PASSWORD = "another horse, another battery";
/** Milliseconds: a request for a mail is looked at a moment later, by nobody's request. */
const NOTED_WITHIN = 10_000;

interface Line {
  event: string;
  result: string;
  session_id: string | null;
  address: string | null;
}

describe.each(systems)("the audit log, %s", (_mode, system) => {
  const anyone = httpFor(system);

  const linesOf = async (userId: string): Promise<Line[]> => {
    const rows = await query(
      system.databaseUrl,
      "SELECT event, result, session_id, address FROM auth.audit_events WHERE user_id = $1 ORDER BY id",
      [userId],
    );
    return rows.map(({ event, result, session_id, address }) => ({
      event: String(event),
      result: String(result),
      session_id: session_id === null ? null : String(session_id),
      address: address === null ? null : String(address),
    }));
  };

  /** A token as auth would have mailed it. */
  async function mailedToken({ email, user }: Person, purpose: Purpose): Promise<string> {
    const [{ id } = {}] = await query(
      system.databaseUrl,
      `INSERT INTO auth.mailed_tokens (id, user_id, purpose, email, created_at, expires_at)
       VALUES (gen_random_uuid(), $1, $2, $3, now(), now() + interval '5 minutes') RETURNING id`,
      [user.id, purpose, email],
    );
    return createMailedTokens(system.env.AUTH_SECRET ?? "").write(purpose, String(id));
  }

  const sessionOf = (accessToken: string): string => String(jwt.decode(accessToken, { json: true })?.sid);

  test("line 31: has one line for each thing that happens, with whose it was, session, address and result", async () => {
    const [person, admin] = await Promise.all([buildPerson(system), buildPerson(system)]);
    await query(system.databaseUrl, "UPDATE auth.users SET role = 'admin' WHERE id = $1", [admin.user.id]);
    const { http, email, user } = person;
    const own = sessionOf(person.tokens.accessToken);
    const adminsOwn = sessionOf(admin.tokens.accessToken);
    const expected: Line[] = [];
    const expectLine = (event: string, result: string, session_id: string | null = null) =>
      expected.push({ event, result, session_id, address: "127.0.0.1" });
    expectLine("register", "success");
    expectLine("login", "success", own);

    await anyone.post("/auth/login", { email, password: "wrong wrong" });
    expectLine("login", "failure");

    // Three generations of a refresh token: the first is too old then.
    const used = await signIn(system, person);
    const usedId = sessionOf(used.accessToken);
    expectLine("login", "success", usedId);
    let { refreshToken } = used;
    for (let rotation = 0; rotation < 2; rotation++) {
      const { body } = await anyone.post<{ refreshToken: string }>("/auth/refresh", { refreshToken });
      ({ refreshToken } = body);
      expectLine("refresh", "success", usedId);
    }
    await anyone.post("/auth/refresh", { refreshToken: used.refreshToken });
    expectLine("refresh_reuse", "failure", usedId);

    const ended = sessionOf((await signIn(system, person)).accessToken);
    expectLine("login", "success", ended);
    await http.delete(`/auth/sessions/${ended}`);
    expectLine("session_end", "success", ended);
    await http.delete("/auth/sessions");
    expectLine("session_end", "success", own);

    const { body: token } = await http.post<{ id: string }>("/auth/tokens", {
      name: "x",
      scopes: ["account"],
    });
    expectLine("token_create", "success", own);
    await http.delete(`/auth/tokens/${token.id}`);
    expectLine("token_delete", "success", own);

    for (const [currentPassword, result] of [
      ["wrong", "failure"],
      [PASSWORD, "success"],
    ] as const) {
      await http.post("/auth/password", { currentPassword, newPassword: NEW_PASSWORD });
      expectLine("password_change", result, own);
    }
    for (const [change, event] of [
      [{ role: "user" }, "role_change"],
      [{ disabled: true }, "user_disable"],
      [{ disabled: false }, "user_enable"],
    ] as const) {
      await admin.http.patch(`/users/${user.id}`, change);
      expectLine(event, "success", adminsOwn);
    }
    await http.post("/auth/logout");
    expectLine("logout", "success", own);

    await anyone.post("/auth/email/verify", { token: await mailedToken(person, "verify_email") });
    expectLine("email_verify", "success");
    await anyone.post("/auth/password/forgot", { email });
    expectLine("password_reset_request", "success");
    for (const deadline = Date.now() + NOTED_WITHIN; Date.now() < deadline; ) {
      if ((await linesOf(user.id)).length >= expected.length) break;
      await delay(20);
    }
    const reset = { token: await mailedToken(person, "reset_password"), newPassword: PASSWORD };
    await anyone.post("/auth/password/reset", reset);
    expectLine("password_reset", "success");

    const last = await signIn(system, person);
    expectLine("login", "success", sessionOf(last.accessToken));
    await httpFor(system, last.accessToken).delete("/auth/me", { password: PASSWORD });
    expectLine("account_delete", "success", sessionOf(last.accessToken));

    expect(await linesOf(user.id)).toEqual(expected);
    const caused = new Set(expected.map(({ event }) => event));
    expect([...caused, ...CAUSED_ELSEWHERE].sort()).toEqual([...AUDIT_EVENTS].sort());
  });

  test("line 31: names no user where there is none, and no address that a client invents", async () => {
    const email = buildEmail();
    const userAgent = `nobody-${email}`;
    await anyone.post(
      "/auth/login",
      { email, password: PASSWORD },
      { headers: { "User-Agent": userAgent, "X-Forwarded-For": "203.0.113.7" } },
    );
    const rows = await query(
      system.databaseUrl,
      "SELECT event, result, user_id, address FROM auth.audit_events WHERE user_agent = $1",
      [userAgent],
    );
    expect(rows).toEqual([{ event: "login", result: "failure", user_id: null, address: "127.0.0.1" }]);
  });
});
