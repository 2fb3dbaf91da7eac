import { v7 as uuidv7 } from "uuid";
import { problem } from "../../lib/errors.ts";
import type { AccessTokens } from "./access-tokens.logic.ts";
import { toUserView } from "./accounts.logic.ts";
import type { SignedIn, Verified } from "./auth.schema.ts";
import type { Passwords } from "./passwords.logic.ts";
import { createRefreshTokens, judgeRefresh } from "./refresh-tokens.logic.ts";
import type { SessionRepository } from "./sessions.repository.ts";
import type { UserRepository, UserRow } from "./users.repository.ts";

interface SessionOptions {
  users: UserRepository;
  sessions: SessionRepository;
  passwords: Passwords;
  accessTokens: AccessTokens;
  /** AUTH_SECRET */
  secret: string;
  /** Seconds a session lives without being refreshed. */
  refreshTtl: number;
  clock: () => number;
}

interface Client {
  address?: string;
  userAgent?: string;
}

const invalidCredentials = () =>
  problem("invalid_credentials", "The e-mail address or the password is wrong.");
const invalidRefreshToken = () => problem("invalid_refresh_token", "Please sign in again.");
const invalidToken = () => problem("invalid_token", "The access token is invalid, expired or revoked.");

/** Signing in, staying signed in and signing out. */
export function createSessionLogic(options: SessionOptions) {
  const { users, sessions, passwords, accessTokens, secret, refreshTtl, clock } = options;
  const refreshTokens = createRefreshTokens(secret);

  const signedIn = (user: UserRow, sessionId: string, counter: number): SignedIn => ({
    accessToken: accessTokens.issue(user, sessionId),
    tokenType: "Bearer",
    expiresIn: accessTokens.ttl,
    refreshToken: refreshTokens.write({ sessionId, counter }),
    refreshExpiresIn: refreshTtl,
    user: toUserView(user),
  });

  return {
    /** @throws invalid_credentials, alike for an unknown address, a wrong password and a disabled account */
    async login({ email, password }: { email: string; password: string }, client: Client): Promise<SignedIn> {
      const user = await users.findByEmail(email);
      const matches = await passwords.matches(password, user?.passwordHash ?? null);
      if (!user || !matches || user.disabledAt) throw invalidCredentials();
      const now = new Date(clock());
      const id = uuidv7();
      await sessions.insert({
        id,
        userId: user.id,
        refreshCounter: 0,
        refreshedAt: now,
        createdAt: now,
        endedAt: null,
        address: client.address ?? null,
        userAgent: client.userAgent ?? null,
      });
      return signedIn(user, id, 0);
    },

    /** @throws invalid_refresh_token; a token that was used before also ends its session */
    async refresh({ refreshToken }: { refreshToken: string }): Promise<SignedIn> {
      const presented = refreshTokens.read(refreshToken);
      if (!presented) throw invalidRefreshToken();
      const owner = await sessions.findOwner(presented.sessionId);
      const user = owner && (await users.find(owner.id));
      if (!user) throw invalidRefreshToken();

      let successor: number | null = null;
      await sessions.change(presented.sessionId, (session) => {
        const now = clock();
        const verdict = judgeRefresh(session, presented.counter, { now, idleTtlMs: refreshTtl * 1000 });
        if (verdict === "repeat") successor = session.refreshCounter;
        if (verdict === "rotate") successor = session.refreshCounter + 1;
        if (verdict === "rotate")
          return { refreshCounter: session.refreshCounter + 1, refreshedAt: new Date(now) };
        return verdict === "reuse" ? { endedAt: new Date(now) } : {};
      });
      if (successor === null) throw invalidRefreshToken();
      return signedIn(user, presented.sessionId, successor);
    },

    async logout(sessionId: string): Promise<null> {
      await sessions.end(sessionId, new Date(clock()));
      return null;
    },

    /**
     * Reads the session at each call, so that logging out, disabling and deleting are felt at once.
     *
     * @throws invalid_token
     */
    async verify(token: string): Promise<Verified> {
      const sessionId = await accessTokens.read(token);
      const owner = sessionId && (await sessions.findOwner(sessionId));
      if (!sessionId || !owner) throw invalidToken();
      const { id, email, role, timeZone } = owner;
      return {
        user: { id, email, role, timeZone },
        session: { id: sessionId },
        passport: accessTokens.passport(owner, sessionId),
      };
    },
  };
}
