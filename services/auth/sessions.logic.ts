import { v7 as uuidv7 } from "uuid";
import type { Caller, Client } from "../../lib/action.ts";
import { isProblem, notFound, problem } from "../../lib/errors.ts";
import type { AccessTokens } from "./access-tokens.logic.ts";
import { toUserView } from "./accounts.logic.ts";
import type { Audit } from "./audit.logic.ts";
import type { Passwords } from "./passwords.logic.ts";
import type { RecoveryLogic } from "./recovery.logic.ts";
import { createRefreshTokens, judgeRefresh, refreshTokenLife } from "./refresh-tokens.logic.ts";
import type { SessionRepository, SessionRow } from "./sessions.repository.ts";
import type { Session, SignedIn } from "./sessions.schema.ts";
import type { Throttle } from "./throttle.logic.ts";
import type { UserRepository, UserRow } from "./users.repository.ts";

interface SessionOptions {
  users: UserRepository;
  sessions: SessionRepository;
  passwords: Passwords;
  throttle: Throttle;
  recovery: Pick<RecoveryLogic, "sendVerification">;
  requireVerifiedEmail: boolean;
  accessTokens: AccessTokens;
  audit: Audit;
  /** AUTH_SECRET */
  secret: string;
  /** Seconds a session lives without being refreshed. */
  refreshTtl: number;
  clock: () => number;
}

/** Of one person, at a time: who signs in for each request would soon have more than can be listed or ended. */
const MAX_SESSIONS = 100;

const invalidCredentials = () =>
  problem("invalid_credentials", "The e-mail address or the password is wrong.");
const invalidRefreshToken = () => problem("invalid_refresh_token", "Please sign in again.");

/** Signing in, staying signed in and signing out. */
export function createSessionLogic(options: SessionOptions) {
  const { users, sessions, passwords, throttle, recovery, requireVerifiedEmail } = options;
  const { accessTokens, audit, secret, refreshTtl, clock } = options;
  const refreshTokens = createRefreshTokens(secret);
  const idleTtlMs = refreshTtl * 1_000;

  const signedIn = (
    user: UserRow,
    { id: sessionId, refreshCounter: counter, createdAt }: SessionRow,
  ): SignedIn => ({
    accessToken: accessTokens.issue(user, sessionId),
    tokenType: "Bearer",
    expiresIn: accessTokens.ttl,
    refreshToken: refreshTokens.write({ sessionId, counter }),
    refreshExpiresIn: refreshTokenLife({ createdAt }, { now: clock(), idleTtlMs }),
    user: toUserView(user),
  });

  /** Now that the password is at hand; when there is too much to do, the next sign-in is soon enough. */
  async function upgradeHash({ id, passwordHash }: UserRow, password: string): Promise<void> {
    if (!passwords.isOutdated(passwordHash)) return;
    try {
      await users.replaceHash(id, { from: passwordHash, to: await passwords.hash(password) });
    } catch (error) {
      if (!isProblem(error, "overloaded")) throw error;
    }
  }

  /**
   * A password that was changed while it was compared opens nothing; one whose hash was only upgraded by another
   * login at the same time is compared once more.
   */
  async function open(user: UserRow, password: string, session: SessionRow): Promise<boolean> {
    const insertFor = (hash: string) => sessions.insertFor(session, hash, MAX_SESSIONS);
    if (await insertFor(user.passwordHash)) return true;
    const present = await users.find(user.id);
    const matches = await passwords.matches(password, present?.passwordHash ?? null);
    return present !== null && matches && (await insertFor(present.passwordHash));
  }

  return {
    /**
     * @throws invalid_credentials, alike for an unknown address, a wrong password and a disabled account;
     * too_many_attempts, overloaded; email_not_verified, to who knows the password only
     */
    async login({ email, password }: { email: string; password: string }, client: Client): Promise<SignedIn> {
      passwords.assertRoom();
      const user = await users.findByEmail(email);
      const matches = await throttle.signIn({ email, userId: user?.id, client }, async () => {
        const equal = await passwords.matches(password, user?.passwordHash ?? null);
        return equal && user?.disabledAt === null;
      });
      if (!user || !matches) {
        await audit({ event: "login", result: "failure", client, ...(user ? { userId: user.id } : {}) });
        throw invalidCredentials();
      }
      if (requireVerifiedEmail && !user.emailVerified) {
        await audit({
          event: "login",
          result: "failure",
          userId: user.id,
          client,
          detail: { reason: "e-mail address not verified" },
        });
        await recovery.sendVerification(user.email, client);
        throw problem(
          "email_not_verified",
          "Please open the link that was mailed to this address, then sign in again.",
        );
      }
      const now = new Date(clock());
      const session: SessionRow = {
        id: uuidv7(),
        userId: user.id,
        refreshCounter: 0,
        refreshedAt: now,
        lastUsedAt: now,
        createdAt: now,
        endedAt: null,
        address: client.address ?? null,
        userAgent: client.userAgent ?? null,
      };
      if (!(await open(user, password, session))) throw invalidCredentials();
      await upgradeHash(user, password);
      await audit({ event: "login", result: "success", userId: user.id, sessionId: session.id, client });
      return signedIn(user, session);
    },

    /** @throws invalid_refresh_token; a token that was used before also ends its session */
    async refresh({ refreshToken }: { refreshToken: string }, client: Client): Promise<SignedIn> {
      const presented = refreshTokens.read(refreshToken);
      if (!presented) throw invalidRefreshToken();
      const owner = await sessions.findOwner(presented.sessionId);
      const user = owner && (await users.find(owner.id));
      if (!user) throw invalidRefreshToken();

      let successor: SessionRow | null = null;
      let reused = false;
      await sessions.change(presented.sessionId, (session) => {
        const now = clock();
        const verdict = judgeRefresh(session, presented.counter, { now, idleTtlMs });
        if (verdict === "repeat") successor = session;
        if (verdict === "rotate") {
          const patch = { refreshCounter: session.refreshCounter + 1, refreshedAt: new Date(now) };
          successor = { ...session, ...patch };
          return patch;
        }
        reused = verdict === "reuse";
        return reused ? { endedAt: new Date(now) } : {};
      });
      const seen = { userId: user.id, sessionId: presented.sessionId, client };
      if (reused) await audit({ event: "refresh_reuse", result: "failure", ...seen });
      else await audit({ event: "refresh", result: successor === null ? "failure" : "success", ...seen });
      if (successor === null) throw invalidRefreshToken();
      return signedIn(user, successor);
    },

    /** Ends the session of this access token; an API token has none, and ends by being deleted. */
    async logout({ userId, sessionId, from: client }: Caller): Promise<null> {
      if (sessionId === null)
        throw problem("forbidden", "An API token has no session to end: delete the token.");
      await sessions.end(userId, sessionId, new Date(clock()));
      await audit({ event: "logout", result: "success", userId, sessionId, client });
      return null;
    },

    async list({ userId, sessionId }: Caller): Promise<{ items: Session[] }> {
      const alive = await sessions.list(userId, new Date(clock() - idleTtlMs));
      return { items: alive.map((session) => toSessionView(session, sessionId)) };
    },

    /** @throws not_found, also for another person's session */
    async end({ userId, from: client }: Caller, id: string): Promise<null> {
      if (!(await sessions.end(userId, id, new Date(clock())))) throw notFound("session");
      await audit({ event: "session_end", result: "success", userId, sessionId: id, client });
      return null;
    },

    async endOthers({ userId, sessionId, from: client }: Caller): Promise<null> {
      await sessions.endAll(userId, new Date(clock()), sessionId);
      await audit({
        event: "session_end",
        result: "success",
        userId,
        sessionId,
        client,
        detail: { which: "all others" },
      });
      return null;
    },
  };
}

const toSessionView = (session: SessionRow, current: string | null): Session => ({
  id: session.id,
  createdAt: session.createdAt.toISOString(),
  lastUsedAt: session.lastUsedAt.toISOString(),
  ip: session.address,
  userAgent: session.userAgent,
  current: session.id === current,
});
