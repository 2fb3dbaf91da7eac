import { createHmac, timingSafeEqual } from "node:crypto";
import { stringify as formatUuid, parse as parseUuid } from "uuid";
import { deriveKey } from "./keys.logic.ts";

/** Which rotation of which session a refresh token is. */
interface Rotation {
  sessionId: string;
  counter: number;
}

const UUID_BYTES = 16;
const BODY_BYTES = UUID_BYTES + 4;
const MAC_BYTES = 32;
const PREFIX = "tmr_";

/** Within this, the token before the current one gets the same successor again: two tabs, a lost answer. */
const REPEAT_WINDOW_MS = 10_000;
/** A session ends so long after signing in, however often it was refreshed. */
export const ABSOLUTE_TTL_MS = 30 * 86_400_000;

/** What a session row says about its refresh tokens. */
interface RefreshState {
  refreshCounter: number;
  refreshedAt: Date;
  createdAt: Date;
  endedAt: Date | null;
}

/**
 * What presenting the token with this counter does: `rotate` and `repeat` both answer with the token of
 * `refreshCounter` afterwards; `reuse` means somebody else used it, and ends the session (RFC 9700, 4.14.2).
 */
export function judgeRefresh(
  session: RefreshState,
  counter: number,
  { now, idleTtlMs }: { now: number; idleTtlMs: number },
): "rotate" | "repeat" | "reuse" | "expired" {
  const idleFor = now - session.refreshedAt.getTime();
  if (session.endedAt || idleFor >= idleTtlMs || now - session.createdAt.getTime() >= ABSOLUTE_TTL_MS)
    return "expired";
  if (counter === session.refreshCounter) return "rotate";
  if (counter === session.refreshCounter - 1 && idleFor <= REPEAT_WINDOW_MS) return "repeat";
  return "reuse";
}

/** Seconds that a refresh token given now is good for. */
export const refreshTokenLife = (
  { createdAt }: Pick<RefreshState, "createdAt">,
  { now, idleTtlMs }: { now: number; idleTtlMs: number },
): number => Math.floor(Math.min(idleTtlMs, createdAt.getTime() + ABSOLUTE_TTL_MS - now) / 1_000);

/**
 * Refresh tokens are derived from their session and its rotation counter, authenticated under AUTH_SECRET:
 * the database holds nothing that could be used as one.
 */
export function createRefreshTokens(secret: string) {
  const key = deriveKey(secret, "refresh tokens");

  function mac(body: Buffer): Buffer {
    const sessionKey = createHmac("sha256", key).update(body.subarray(0, UUID_BYTES)).digest();
    return createHmac("sha256", sessionKey).update(body).digest();
  }

  return {
    write({ sessionId, counter }: Rotation): string {
      const body = Buffer.alloc(BODY_BYTES);
      body.set(parseUuid(sessionId));
      body.writeUInt32BE(counter, UUID_BYTES);
      return PREFIX + Buffer.concat([body, mac(body)]).toString("base64url");
    },

    /** Null for anything this mesh did not write. */
    read(token: string): Rotation | null {
      if (!token.startsWith(PREFIX)) return null;
      const bytes = Buffer.from(token.slice(PREFIX.length), "base64url");
      // The second test refuses other spellings of the same bytes.
      if (bytes.length !== BODY_BYTES + MAC_BYTES || PREFIX + bytes.toString("base64url") !== token)
        return null;
      const body = bytes.subarray(0, BODY_BYTES);
      if (!timingSafeEqual(bytes.subarray(BODY_BYTES), mac(body))) return null;
      return { sessionId: formatUuid(body.subarray(0, UUID_BYTES)), counter: body.readUInt32BE(UUID_BYTES) };
    },
  };
}
