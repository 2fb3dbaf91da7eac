import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { validate as isUuid, parse as parseUuid, v7 as uuidv7 } from "uuid";
import type { Caller } from "../../lib/action.ts";
import { notFound, problem } from "../../lib/errors.ts";
import type { ApiTokenRepository, ApiTokenRow } from "./api-tokens.repository.ts";
import type { ApiToken, NewApiToken } from "./api-tokens.schema.ts";
import type { Audit } from "./audit.logic.ts";

export const API_TOKEN_PREFIX = "tmp_";
const ID_BYTES = 16;
const SECRET_BYTES = 32;
/** So that a token that leaked into a loop can't fill the table. */
const MAX_TOKENS = 100;

const hashOf = (secret: Buffer): Buffer => createHash("sha256").update(secret).digest();

/** Id and secret of an API token as it is shown once; null for anything else. */
export function readApiToken(token: string): { id: string; secret: Buffer } | null {
  const bytes = Buffer.from(token.slice(API_TOKEN_PREFIX.length), "base64url");
  if (bytes.length !== ID_BYTES + SECRET_BYTES || API_TOKEN_PREFIX + bytes.toString("base64url") !== token)
    return null;
  const id = bytes.toString("hex", 0, ID_BYTES).replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
  return isUuid(id) ? { id, secret: bytes.subarray(ID_BYTES) } : null;
}

export const isSecretOf = (secret: Buffer, hash: Buffer): boolean => timingSafeEqual(hashOf(secret), hash);

const toView = (row: ApiTokenRow): ApiToken => ({
  id: row.id,
  name: row.name,
  scopes: row.scopes,
  createdAt: row.createdAt.toISOString(),
  expiresAt: row.expiresAt?.toISOString() ?? null,
  lastUsedAt: row.lastUsedAt?.toISOString() ?? null,
});

const invalidToken = () => problem("invalid_token", "The access token is invalid, expired or revoked.");

interface ApiTokenOptions {
  apiTokens: ApiTokenRepository;
  audit: Audit;
  clock: () => number;
}

/** Tokens for scripts: named, with the scopes they need, shown once. */
export function createApiTokenLogic({ apiTokens, audit, clock }: ApiTokenOptions) {
  return {
    /**
     * For who is signed in: what leaked could make others, which stay when it is deleted.
     *
     * @throws forbidden to an API token, and when there are too many; validation_failed; invalid_token
     */
    async create(
      { userId, sessionId, from: client }: Caller,
      wanted: NewApiToken,
    ): Promise<ApiToken & { token: string }> {
      if (sessionId === null) throw problem("forbidden", "Sign in with the password to make an API token.");
      const now = clock();
      const expiresAt = wanted.expiresAt === null ? null : new Date(wanted.expiresAt);
      if (expiresAt && expiresAt.getTime() <= now) {
        throw problem("validation_failed", "The token would be expired already.", {
          violations: [
            { path: ["expiresAt"], code: "too_small", detail: '"expiresAt" must be in the future.' },
          ],
        });
      }
      const secret = randomBytes(SECRET_BYTES);
      const row: ApiTokenRow = {
        id: uuidv7(),
        userId,
        name: wanted.name,
        scopes: wanted.scopes,
        secretHash: hashOf(secret),
        createdAt: new Date(now),
        expiresAt,
        lastUsedAt: null,
      };
      const insertion = await apiTokens.insertFor(sessionId, row, MAX_TOKENS);
      // The passport was good when the call began.
      if (insertion === "not allowed") throw invalidToken();
      if (insertion === "too many") {
        throw problem("forbidden", `Nobody can have more than ${MAX_TOKENS} tokens: delete one first.`);
      }
      await audit({
        event: "token_create",
        result: "success",
        userId,
        sessionId,
        client,
        detail: { tokenId: row.id },
      });
      const shown = Buffer.concat([parseUuid(row.id), secret]).toString("base64url");
      return { ...toView(row), token: API_TOKEN_PREFIX + shown };
    },

    list: async ({ userId }: Caller): Promise<{ items: ApiToken[] }> => ({
      items: (await apiTokens.list(userId)).map(toView),
    }),

    async remove({ userId, sessionId, from: client }: Caller, id: string): Promise<null> {
      if (!(await apiTokens.remove(userId, id))) throw notFound("token");
      await audit({
        event: "token_delete",
        result: "success",
        userId,
        sessionId,
        client,
        detail: { tokenId: id },
      });
      return null;
    },
  };
}
