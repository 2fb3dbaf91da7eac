import { problem } from "../../lib/errors.ts";
import { inRequest } from "../../lib/request-context.ts";
import { openAccessTokens } from "../../tests/support/access-tokens.ts";
import {
  AUTH_SECRET,
  CLIENT,
  findSession,
  findSessionsOf,
  findUser,
  identityOf,
  NOW,
  quickPasswords,
  recordAudit,
  recordThrottle,
  storeSession,
  storeUser,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { toUserView } from "./accounts.logic.ts";
import { createRefreshTokens } from "./refresh-tokens.logic.ts";
import { createSessionLogic } from "./sessions.logic.ts";
import { createSessionRepository } from "./sessions.repository.ts";
import { createUserRepository } from "./users.repository.ts";

const REFRESH_TTL = 7 * 86_400;
const refreshTokens = createRefreshTokens(AUTH_SECRET);

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

/** The rules on the database, with a clock of the test's own. */
async function build({ passwords = quickPasswords(), requireVerifiedEmail = false } = {}) {
  const time = { now: NOW };
  const clock = () => time.now;
  const { audit, audited } = recordAudit();
  const { throttle, asked } = recordThrottle();
  const accessTokens = await openAccessTokens(clock);
  const mailed: unknown[] = [];
  const logic = createSessionLogic({
    users: createUserRepository(db.database),
    sessions: createSessionRepository(db.database),
    recovery: { sendVerification: async (...asked) => void mailed.push(asked) },
    secret: AUTH_SECRET,
    refreshTtl: REFRESH_TTL,
    passwords,
    requireVerifiedEmail,
    throttle,
    accessTokens,
    audit,
    clock,
  });
  return { logic, time, audited, asked, accessTokens, mailed };
}

const setHash = (id: string, passwordHash: string) =>
  db.database.query("UPDATE auth.users SET password_hash = $2 WHERE id = $1", { bind: [id, passwordHash] });

describe("signing in", () => {
  it("keeps a hundred sessions: one more ends the one that was not used for longest", async () => {
    const user = await storeUser(db.database);
    const { logic, time } = await build();
    for (let n = 0; n < 102; n += 1) {
      time.now += 1_000;
      await logic.login({ email: user.email, password: "right" }, CLIENT);
    }
    const all = await findSessionsOf(db.database, user.id);
    const open = all.filter(({ endedAt }) => endedAt === null).map(({ createdAt }) => createdAt.getTime());
    expect([all.length, open.length, Math.min(...open)]).toEqual([102, 100, NOW + 3_000]);
  });

  it("gives both tokens, and opens a session that says where from", async () => {
    const user = await storeUser(db.database, { name: "Åsa" });
    const { logic, accessTokens, audited } = await build();
    const signedIn = await logic.login({ email: user.email, password: "right" }, CLIENT);

    const [session, ...more] = await findSessionsOf(db.database, user.id);
    const at = new Date(NOW);
    expect(more).toEqual([]);
    expect(session).toEqual({
      id: expect.any(String),
      userId: user.id,
      refreshCounter: 0,
      refreshedAt: at,
      lastUsedAt: at,
      createdAt: at,
      endedAt: null,
      ...CLIENT,
    });
    expect(signedIn).toEqual({
      accessToken: expect.any(String),
      tokenType: "Bearer",
      expiresIn: 600,
      refreshToken: refreshTokens.write({ sessionId: session?.id ?? "", counter: 0 }),
      refreshExpiresIn: REFRESH_TTL,
      user: toUserView(user),
    });
    expect(await accessTokens.read(signedIn.accessToken)).toBe(session?.id);
    expect(audited).toEqual([
      { event: "login", result: "success", userId: user.id, sessionId: session?.id, client: CLIENT },
    ]);
  });

  it("works for a client that says nothing of itself", async () => {
    const user = await storeUser(db.database);
    const { logic } = await build();
    await logic.login({ email: user.email, password: "right" }, {});
    const [session] = await findSessionsOf(db.database, user.id);
    expect(session).toMatchObject({ address: null, userAgent: null });
  });

  it("is refused alike to who is unknown, wrong or disabled, and noted for the account there is", async () => {
    const user = await storeUser(db.database);
    const disabled = await storeUser(db.database, { disabledAt: new Date(NOW) });
    const { logic, audited } = await build();
    for (const [email, password] of [
      ["nobody@example.test", "right"],
      [user.email, "wrong"],
      [disabled.email, "right"],
    ] as const) {
      await expect(logic.login({ email, password }, CLIENT)).rejects.toMatchObject({
        type: "invalid_credentials",
        message: "The e-mail address or the password is wrong.",
      });
    }
    const failure = { event: "login", result: "failure", client: CLIENT };
    expect(audited).toEqual([failure, { ...failure, userId: user.id }, { ...failure, userId: disabled.id }]);
    for (const { id } of [user, disabled]) expect(await findSessionsOf(db.database, id)).toEqual([]);
  });

  it("compares a password also when there is nobody: with nobody's hash", async () => {
    const compared: unknown[] = [];
    const matches = async (...what: unknown[]) => compared.push(what) > 1;
    const { logic } = await build({ passwords: quickPasswords({ matches }) });
    await expect(logic.login({ email: "nobody@example.test", password: "x" }, CLIENT)).rejects.toThrow();
    expect(compared).toEqual([["x", null]]);
  });

  it("compares the right one once", async () => {
    const user = await storeUser(db.database);
    const compared: unknown[] = [];
    const matches = async (...what: unknown[]) => compared.push(what) > 0;
    const { logic } = await build({ passwords: quickPasswords({ matches }) });
    await logic.login({ email: user.email, password: "right" }, CLIENT);
    expect(compared).toEqual([["right", user.passwordHash]]);
  });

  it("passes the throttle, which learns who tries from where", async () => {
    const user = await storeUser(db.database);
    const { logic, asked } = await build();
    await logic.login({ email: user.email, password: "right" }, CLIENT);
    await expect(logic.login({ email: "nobody@example.test", password: "x" }, CLIENT)).rejects.toThrow();
    expect(asked).toEqual([
      { email: user.email, userId: user.id, client: CLIENT },
      { email: "nobody@example.test", userId: undefined, client: CLIENT },
    ]);
  });

  it("begins nothing when there is no room for a hash", async () => {
    const assertRoom = () => {
      throw problem("overloaded", "full");
    };
    const { logic, asked } = await build({ passwords: quickPasswords({ assertRoom }) });
    const statements = db.countStatements();
    await expect(logic.login({ email: "nobody@example.test", password: "x" }, CLIENT)).rejects.toMatchObject({
      type: "overloaded",
    });
    expect({ asked, statements: statements() }).toEqual({ asked: [], statements: 0 });
  });
});

describe("signing in where the address must be verified", () => {
  it("mails a link to who knows the password, and opens nothing", async () => {
    const user = await storeUser(db.database);
    const { logic, audited, mailed } = await build({ requireVerifiedEmail: true });
    await expect(logic.login({ email: user.email, password: "right" }, CLIENT)).rejects.toMatchObject({
      type: "email_not_verified",
      message: "Please open the link that was mailed to this address, then sign in again.",
    });
    expect(mailed).toEqual([[user.email, CLIENT]]);
    expect(audited).toEqual([
      {
        event: "login",
        result: "failure",
        userId: user.id,
        client: CLIENT,
        detail: { reason: "e-mail address not verified" },
      },
    ]);
    expect(await findSessionsOf(db.database, user.id)).toEqual([]);
  });

  it("mails nothing to who does not", async () => {
    const user = await storeUser(db.database);
    const { logic, mailed } = await build({ requireVerifiedEmail: true });
    await expect(logic.login({ email: user.email, password: "wrong" }, CLIENT)).rejects.toMatchObject({
      type: "invalid_credentials",
    });
    expect(mailed).toEqual([]);
  });

  it("works with one that is", async () => {
    const user = await storeUser(db.database, { emailVerified: true });
    const { logic, mailed } = await build({ requireVerifiedEmail: true });
    await expect(logic.login({ email: user.email, password: "right" }, CLIENT)).resolves.toMatchObject({
      user: { id: user.id },
    });
    expect(mailed).toEqual([]);
  });
});

describe("a password that changes while it is compared", () => {
  /** Compares as always, after which `meanwhile` happens once. */
  const comparing = (meanwhile: () => Promise<unknown>) => {
    const passwords = quickPasswords();
    let happened = false;
    return quickPasswords({
      async matches(password, stored) {
        const equal = await passwords.matches(password, stored);
        if (!happened) await meanwhile();
        happened = true;
        return equal;
      },
    });
  };

  it("opens nothing", async () => {
    const user = await storeUser(db.database);
    const { logic } = await build({ passwords: comparing(() => setHash(user.id, "hash of another")) });
    await expect(logic.login({ email: user.email, password: "right" }, CLIENT)).rejects.toMatchObject({
      type: "invalid_credentials",
    });
    expect(await findSessionsOf(db.database, user.id)).toEqual([]);
  });

  it("opens when only its hash did", async () => {
    const user = await storeUser(db.database, { passwordHash: "old hash of right" });
    const { logic } = await build({ passwords: comparing(() => setHash(user.id, "hash of right")) });
    await logic.login({ email: user.email, password: "right" }, CLIENT);
    expect(await findSessionsOf(db.database, user.id)).toHaveLength(1);
  });

  it("opens nothing when the account goes", async () => {
    const user = await storeUser(db.database);
    const remove = () => db.database.query("DELETE FROM auth.users WHERE id = $1", { bind: [user.id] });
    const { logic } = await build({ passwords: comparing(remove) });
    await expect(logic.login({ email: user.email, password: "right" }, CLIENT)).rejects.toMatchObject({
      type: "invalid_credentials",
    });
  });
});

describe("a hash", () => {
  const hashAfterLogin = async (passwordHash: string, over: Parameters<typeof quickPasswords>[0] = {}) => {
    const user = await storeUser(db.database, { passwordHash });
    const { logic } = await build({ passwords: quickPasswords(over) });
    await logic.login({ email: user.email, password: "right" }, CLIENT);
    return (await findUser(db.database, user.id))?.passwordHash;
  };
  const failing = (error: Error) => ({
    hash: async () => {
      throw error;
    },
  });

  it("made at another cost is made anew when its owner signs in", async () => {
    expect(await hashAfterLogin("old hash of right")).toBe("hash of right");
  });

  it("made at this cost stays", async () => {
    const hash = async () => "a needless hash";
    expect(await hashAfterLogin("hash of right", { hash })).toBe("hash of right");
  });

  it("waits for the next sign-in when there is too much to do", async () => {
    const overloaded = problem("overloaded", "full");
    expect(await hashAfterLogin("old hash of right", failing(overloaded))).toBe("old hash of right");
  });

  it("that can't be made for another reason is an error", async () => {
    await expect(hashAfterLogin("old hash of right", failing(new Error("broken")))).rejects.toThrow("broken");
  });
});

describe("a refresh token", () => {
  async function signIn() {
    const user = await storeUser(db.database);
    const built = await build();
    const { refreshToken } = await built.logic.login({ email: user.email, password: "right" }, CLIENT);
    const [session] = await findSessionsOf(db.database, user.id);
    if (!session) throw new Error("no session");
    built.audited.length = 0;
    const seen = { userId: user.id, sessionId: session.id, client: CLIENT };
    return { ...built, user, session, refreshToken, seen };
  }
  const refused = { type: "invalid_refresh_token", message: "Please sign in again." };

  it("is exchanged for the next one, and keeps the session alive", async () => {
    const { logic, time, session, user, refreshToken, audited, seen, accessTokens } = await signIn();
    time.now += 60_000;
    const next = await logic.refresh({ refreshToken }, CLIENT);

    expect(next).toEqual({
      accessToken: expect.any(String),
      tokenType: "Bearer",
      expiresIn: 600,
      refreshToken: refreshTokens.write({ sessionId: session.id, counter: 1 }),
      refreshExpiresIn: REFRESH_TTL,
      user: toUserView(user),
    });
    expect(await accessTokens.read(next.accessToken)).toBe(session.id);
    expect(await findSession(db.database, session.id)).toEqual({
      ...session,
      refreshCounter: 1,
      refreshedAt: new Date(time.now),
    });
    expect(audited).toEqual([{ event: "refresh", result: "success", ...seen }]);
  });

  it("is good for no longer than its session, which ends thirty days after signing in", async () => {
    const { logic, time, refreshToken } = await signIn();
    let latest = refreshToken;
    const lives: number[] = [];
    for (const days of [6, 12, 18, 24, 29.5]) {
      time.now = NOW + days * 86_400_000;
      const next = await logic.refresh({ refreshToken: latest }, CLIENT);
      latest = next.refreshToken;
      lives.push(next.refreshExpiresIn / 86_400);
    }
    expect(lives).toEqual([7, 7, 7, 6, 0.5]);
    time.now = NOW + 30 * 86_400_000 - 1_000;
    const last = await logic.refresh({ refreshToken: latest }, CLIENT);
    expect(last.refreshExpiresIn).toBe(1);
    time.now += 1_000;
    await expect(logic.refresh({ refreshToken: last.refreshToken }, CLIENT)).rejects.toMatchObject(refused);
  });

  it("gets the same successor again within seconds, which changes nothing", async () => {
    const { logic, time, session, refreshToken, audited, seen } = await signIn();
    const next = await logic.refresh({ refreshToken }, CLIENT);
    const before = await findSession(db.database, session.id);
    time.now += 10_000;
    const again = await logic.refresh({ refreshToken }, CLIENT);
    expect(again.refreshToken).toBe(next.refreshToken);
    expect(await findSession(db.database, session.id)).toEqual(before);
    expect(audited).toEqual(Array(2).fill({ event: "refresh", result: "success", ...seen }));
  });

  it("that comes back later ends its session", async () => {
    const { logic, time, session, refreshToken, audited, seen } = await signIn();
    await logic.refresh({ refreshToken }, CLIENT);
    time.now += 10_001;
    await expect(logic.refresh({ refreshToken }, CLIENT)).rejects.toMatchObject(refused);
    expect(await findSession(db.database, session.id)).toMatchObject({
      refreshCounter: 1,
      endedAt: new Date(time.now),
    });
    expect(audited.slice(1)).toEqual([{ event: "refresh_reuse", result: "failure", ...seen }]);
  });

  it("that comes late, when its client has gone on, ends nothing", async () => {
    const { logic, session, refreshToken, audited } = await signIn();
    const { refreshToken: next } = await logic.refresh({ refreshToken }, CLIENT);
    await logic.refresh({ refreshToken: next }, CLIENT);
    const before = await findSession(db.database, session.id);
    audited.length = 0;
    const late = { requestId: "r", startedAt: 0, awaitedUntil: performance.now() };
    await expect(inRequest(late, () => logic.refresh({ refreshToken }, CLIENT))).rejects.toMatchObject({
      type: "unavailable",
    });
    expect(await findSession(db.database, session.id)).toEqual(before);
    expect(audited).toEqual([]);
  });

  it("that was not used for too long is refused, which ends nothing", async () => {
    const { logic, time, session, refreshToken, audited, seen } = await signIn();
    time.now += REFRESH_TTL * 1000;
    await expect(logic.refresh({ refreshToken }, CLIENT)).rejects.toMatchObject(refused);
    expect(await findSession(db.database, session.id)).toEqual(session);
    expect(audited).toEqual([{ event: "refresh", result: "failure", ...seen }]);
    time.now -= 1;
    await expect(logic.refresh({ refreshToken }, CLIENT)).resolves.toBeDefined();
  });

  it("of no session that is alive is refused, whoever wrote it", async () => {
    const { logic, session, refreshToken, audited } = await signIn();
    const nobodys = refreshTokens.write({ sessionId: session.userId, counter: 0 });
    await logic.logout(identityOf(session));
    audited.length = 0;
    for (const token of [refreshToken, nobodys, "tmr_forged", ""])
      await expect(logic.refresh({ refreshToken: token }, CLIENT)).rejects.toMatchObject(refused);
    expect(audited).toEqual([]);
  });
});

describe("signing out", () => {
  it("ends this session and no other", async () => {
    const session = await storeSession(db.database);
    const other = await storeSession(db.database, { userId: session.userId });
    const { logic, audited } = await build();
    expect(await logic.logout(identityOf(session))).toBeNull();
    expect(await findSession(db.database, session.id)).toEqual({ ...session, endedAt: new Date(NOW) });
    expect(await findSession(db.database, other.id)).toEqual(other);
    expect(audited).toEqual([
      { event: "logout", result: "success", userId: session.userId, sessionId: session.id },
    ]);
  });

  it("is not for an API token, which has no session", async () => {
    const session = await storeSession(db.database);
    const { logic, audited } = await build();
    await expect(logic.logout(identityOf({ ...session, id: null }))).rejects.toMatchObject({
      type: "forbidden",
      message: "An API token has no session to end: delete the token.",
    });
    expect(audited).toEqual([]);
    expect(await findSession(db.database, session.id)).toEqual(session);
  });
});

describe("sessions", () => {
  it("are listed with where and when, those that idled away aside", async () => {
    const { userId, ...session } = await storeSession(db.database, {
      createdAt: new Date(NOW - 5_000),
      lastUsedAt: new Date(NOW - 1_000),
    });
    await storeSession(db.database, { userId, refreshedAt: new Date(NOW - REFRESH_TTL * 1000) });
    const other = await storeSession(db.database, {
      userId,
      refreshedAt: new Date(NOW - REFRESH_TTL * 1000 + 1),
      address: null,
      userAgent: null,
    });
    const { logic } = await build();
    expect(await logic.list(identityOf({ userId, id: session.id }))).toEqual({
      items: [
        {
          id: other.id,
          createdAt: "2026-11-22T10:00:00.000Z",
          lastUsedAt: "2026-11-22T10:00:00.000Z",
          ip: null,
          userAgent: null,
          current: false,
        },
        {
          id: session.id,
          createdAt: "2026-11-22T09:59:55.000Z",
          lastUsedAt: "2026-11-22T09:59:59.000Z",
          ip: CLIENT.address,
          userAgent: CLIENT.userAgent,
          current: true,
        },
      ],
    });
  });

  it("end one at a time, once, by their owner only", async () => {
    const [mine, theirs] = [await storeSession(db.database), await storeSession(db.database)];
    const { logic, audited } = await build();
    const caller = identityOf({ userId: mine.userId, id: null });
    expect(await logic.end(caller, mine.id)).toBeNull();
    for (const { id } of [mine, theirs])
      await expect(logic.end(caller, id)).rejects.toMatchObject({
        type: "not_found",
        message: "There is no such session.",
      });
    expect(await findSession(db.database, mine.id)).toMatchObject({ endedAt: new Date(NOW) });
    expect(await findSession(db.database, theirs.id)).toEqual(theirs);
    expect(audited).toEqual([
      { event: "session_end", result: "success", userId: mine.userId, sessionId: mine.id },
    ]);
  });

  it("end all but the one that asks", async () => {
    const mine = await storeSession(db.database);
    const others = [
      await storeSession(db.database, { userId: mine.userId }),
      await storeSession(db.database, { userId: mine.userId }),
    ];
    const { logic, audited } = await build();
    expect(await logic.endOthers(identityOf(mine))).toBeNull();
    expect(await findSession(db.database, mine.id)).toEqual(mine);
    for (const other of others)
      expect(await findSession(db.database, other.id)).toEqual({ ...other, endedAt: new Date(NOW) });
    expect(audited).toEqual([
      {
        event: "session_end",
        result: "success",
        userId: mine.userId,
        sessionId: mine.id,
        detail: { which: "all others" },
      },
    ]);
  });
});
