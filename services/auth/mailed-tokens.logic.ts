import { createHmac, timingSafeEqual } from "node:crypto";
import { stringify as formatUuid, parse as parseUuid } from "uuid";
import { deriveKey } from "./keys.logic.ts";

/** What a mailed link lets its reader do. */
export type Purpose = "reset_password" | "verify_email";

const MINUTE_MS = 60_000;

/** How long a link works, from the moment it was asked for. */
export const LIFETIME_MS: Record<Purpose, number> = {
  reset_password: 30 * MINUTE_MS,
  verify_email: 24 * 60 * MINUTE_MS,
};

const PREFIX = "tmm_";
const ID_BYTES = 16;
const MAC_BYTES = 32;

export type MailedTokens = ReturnType<typeof createMailedTokens>;

/**
 * Tokens of mailed links are derived from their id and purpose, authenticated under AUTH_SECRET: neither the database
 * nor the mails that wait in it hold anything that could be used as one.
 */
export function createMailedTokens(secret: string) {
  const keys: Record<Purpose, Buffer> = {
    reset_password: deriveKey(secret, "password reset tokens"),
    verify_email: deriveKey(secret, "e-mail verification tokens"),
  };
  const mac = (purpose: Purpose, id: Uint8Array): Buffer =>
    createHmac("sha256", keys[purpose]).update(id).digest();

  return {
    write(purpose: Purpose, id: string): string {
      const bytes = parseUuid(id);
      return PREFIX + Buffer.concat([bytes, mac(purpose, bytes)]).toString("base64url");
    },

    /** The id of a token that this mesh wrote for this purpose; null for anything else. */
    read(purpose: Purpose, token: string): string | null {
      const bytes = Buffer.from(token.slice(PREFIX.length), "base64url");
      // The second test refuses other spellings of the same bytes, and other prefixes.
      if (bytes.length !== ID_BYTES + MAC_BYTES || PREFIX + bytes.toString("base64url") !== token)
        return null;
      const id = bytes.subarray(0, ID_BYTES);
      return timingSafeEqual(bytes.subarray(ID_BYTES), mac(purpose, id)) ? formatUuid(id) : null;
    },
  };
}
