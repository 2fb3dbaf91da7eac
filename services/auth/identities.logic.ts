import { problem } from "../../lib/errors.ts";
import { SCOPES } from "../../lib/passport.ts";
import type { AccessTokens } from "./access-tokens.logic.ts";
import { API_TOKEN_PREFIX, isSecretOf, readApiToken } from "./api-tokens.logic.ts";
import type { ApiTokenRepository } from "./api-tokens.repository.ts";
import type { Change } from "./changes.repository.ts";
import type { Verified } from "./identities.schema.ts";
import { createOwnerCache } from "./owner-cache.logic.ts";
import type { SessionRepository } from "./sessions.repository.ts";

/** A use is written down at most this often. */
const TOUCH_INTERVAL_MS = 60_000;

const invalidToken = () => problem("invalid_token", "The access token is invalid, expired or revoked.");

interface IdentityOptions {
  sessions: Pick<SessionRepository, "findOwner" | "touch">;
  apiTokens: Pick<ApiTokenRepository, "findOwner" | "touch">;
  accessTokens: AccessTokens;
  clock: () => number;
  /** Told when a use could not be written down: nobody is refused for that. */
  onError: (error: unknown) => void;
}

/** Who a token belongs to. Owners are remembered while the database tells of changes, and read when it does not. */
export function createIdentityLogic({ sessions, apiTokens, accessTokens, clock, onError }: IdentityOptions) {
  const sessionOwners = createOwnerCache(sessions.findOwner);
  const tokenOwners = createOwnerCache(apiTokens.findOwner);

  function touch(owner: { lastUsedAt: Date }, write: (at: Date) => Promise<void>): void {
    const now = new Date(clock());
    if (now.getTime() - owner.lastUsedAt.getTime() < TOUCH_INTERVAL_MS) return;
    owner.lastUsedAt = now;
    write(now).catch(onError);
  }

  async function verifySession(token: string): Promise<Verified> {
    const id = await accessTokens.read(token);
    const owner = id && (await sessionOwners.find(id));
    if (!id || !owner) throw invalidToken();
    touch(owner, (at) => sessions.touch(id, at));
    const { lastUsedAt: _, ...user } = owner;
    return {
      user,
      session: { id },
      scopes: [...SCOPES],
      passport: accessTokens.passport(owner, { id, sessionId: id, scopes: SCOPES }),
    };
  }

  async function verifyApiToken(token: string): Promise<Verified> {
    const presented = readApiToken(token);
    const owner = presented && (await tokenOwners.find(presented.id));
    if (!presented || !owner || !isSecretOf(presented.secret, owner.secretHash)) throw invalidToken();
    if (owner.expiresAt && owner.expiresAt.getTime() <= clock()) throw invalidToken();
    touch(owner, (at) => apiTokens.touch(presented.id, at));
    const { id, email, role, timeZone, scopes } = owner;
    return {
      user: { id, email, role, timeZone },
      session: null,
      scopes,
      passport: accessTokens.passport(owner, { id: presented.id, sessionId: null, scopes }),
    };
  }

  return {
    /** @throws invalid_token */
    verify: (token: string): Promise<Verified> =>
      token.startsWith(API_TOKEN_PREFIX) ? verifyApiToken(token) : verifySession(token),

    /** Whether changes are told at present; without, everything is read. */
    trust(listening: boolean): void {
      sessionOwners.trust(listening);
      tokenOwners.trust(listening);
    },

    forget({ kind, id }: Change): void {
      if (kind === "session") sessionOwners.forget(id);
      if (kind === "api_token") tokenOwners.forget(id);
      if (kind === "user") {
        sessionOwners.forgetUser(id);
        tokenOwners.forgetUser(id);
      }
    },
  };
}
