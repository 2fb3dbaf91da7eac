import { createHmac, createSecretKey, timingSafeEqual } from "node:crypto";

/** The sort keys of the last task of a page, and its id. */
export type Position = (string | number | null)[];

const MAC_BYTES = 16;

/**
 * Cursors carry a position and an HMAC over it, the person and the list it belongs to: one from another person,
 * filter or sort, or one made up, is no cursor.
 */
export function createCursors(key: Buffer) {
  // An HMAC with a Buffer makes such a key each time, for five times what the HMAC costs.
  const secret = createSecretKey(key);
  const mac = (position: string, list: string): Buffer =>
    createHmac("sha256", secret).update(`${list}\n${position}`).digest().subarray(0, MAC_BYTES);

  return {
    /** `list` names person, filter and sort. */
    write(position: Position, list: string): string {
      const body = JSON.stringify(position);
      return Buffer.concat([mac(body, list), Buffer.from(body)]).toString("base64url");
    },

    /** Null for anything that `write` did not make for this list. */
    read(cursor: string, list: string): Position | null {
      const bytes = Buffer.from(cursor, "base64url");
      if (bytes.length <= MAC_BYTES || bytes.toString("base64url") !== cursor) return null;
      const body = bytes.subarray(MAC_BYTES).toString();
      if (!timingSafeEqual(bytes.subarray(0, MAC_BYTES), mac(body, list))) return null;
      const position: Position = JSON.parse(body);
      return position;
    },
  };
}

export type Cursors = ReturnType<typeof createCursors>;
