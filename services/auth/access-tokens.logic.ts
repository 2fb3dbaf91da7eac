import { randomUUID } from "node:crypto";
import jwt from "jsonwebtoken";
import { LRUCache } from "lru-cache";
import {
  isCanonical,
  PASSPORT_TTL,
  PASSPORT_TYPE,
  passportAudience,
  type Scope,
} from "../../lib/passport.ts";
import type { Keyring } from "./keys.logic.ts";

const ACCESS_TOKEN_TYPE = "at+jwt";

/** A passport is handed out again for this long; then it still has the rest of its life to be used. */
const PASSPORT_REUSE_MS = (PASSPORT_TTL * 1000) / 2;
const MAX_CACHED = 20_000;

interface PassportHolder {
  id: string;
  role: "user" | "admin" | "service";
  timeZone: string;
}

interface Holder extends PassportHolder {
  email: string;
}

/** What a passport is made from. */
interface Grant {
  /** Of the session or API token: what the passport is remembered by. */
  id: string;
  sessionId: string | null;
  scopes: readonly Scope[];
  /** The service that acts for the holder. */
  client?: string;
}

interface AccessTokenOptions {
  keyring: Keyring;
  namespace: string;
  /** Seconds. */
  ttl: number;
  clock: () => number;
}

/** Access tokens (RFC 9068) for clients and passports for the bus: both ES256, told apart by `typ` and `aud`. */
export function createAccessTokens({ keyring, namespace, ttl, clock }: AccessTokenOptions) {
  const audience = `${namespace}/api`;
  const verified = new LRUCache<string, { sessionId: string; expiresAt: number }>({ max: MAX_CACHED });
  const passports = new LRUCache<string, { passport: string; holder: string; freshUntil: number }>({
    max: MAX_CACHED,
  });

  function sign(claims: object, typ: string): string {
    const { kid, privateKey } = keyring.current();
    return jwt.sign(claims, privateKey, { algorithm: "ES256", keyid: kid, header: { alg: "ES256", typ } });
  }

  return {
    ttl,

    issue(user: Holder, sessionId: string): string {
      const iat = Math.floor(clock() / 1000);
      const who = { sub: user.id, user_id: user.id, email: user.email, role: user.role, sid: sessionId };
      return sign(
        { iss: namespace, aud: audience, ...who, jti: randomUUID(), iat, exp: iat + ttl },
        ACCESS_TOKEN_TYPE,
      );
    },

    /**
     * The session an access token belongs to; null when the token is not one of ours, is altered or expired.
     * Its signature is checked once: a token that verified stays in a bounded cache until it expires.
     */
    async read(token: string): Promise<string | null> {
      const known = verified.get(token);
      if (known) return known.expiresAt > clock() ? known.sessionId : null;
      if (!isCanonical(token)) return null;
      const header = jwt.decode(token, { complete: true })?.header;
      // jsonwebtoken checks neither the type nor critical extensions.
      if (!header?.kid || header.typ !== ACCESS_TOKEN_TYPE || header.crit) return null;
      const key = await keyring.find(header.kid);
      if (!key) return null;
      try {
        const clockTimestamp = Math.floor(clock() / 1000);
        const claims = jwt.verify(token, key, {
          algorithms: ["ES256"],
          issuer: namespace,
          audience,
          clockTimestamp,
        });
        // An access token without an expiry is none, whatever jsonwebtoken thinks.
        if (typeof claims === "string" || claims.exp === undefined || typeof claims.sid !== "string")
          return null;
        verified.set(token, { sessionId: claims.sid, expiresAt: claims.exp * 1000 });
        return claims.sid;
      } catch {
        return null;
      }
    },

    /** auth's own, to act for a person who is gone: for erasing what is left of them. */
    ownPassport(userId: string): string {
      const iat = Math.floor(clock() / 1000);
      const who = {
        iss: namespace,
        aud: passportAudience(namespace),
        sub: userId,
        role: "user",
        tz: "UTC",
        scope: "",
      };
      return sign({ ...who, act: { sub: "auth" }, iat, exp: iat + PASSPORT_TTL }, PASSPORT_TYPE);
    },

    /** The passport of a session, an API token or a service: the same one while it is fresh and its holder has not changed. */
    passport(holder: PassportHolder, { id, sessionId, scopes, client }: Grant): string {
      const snapshot = `${holder.role} ${holder.timeZone} ${scopes.join(" ")}`;
      const known = passports.get(id);
      const freshFor = known ? known.freshUntil - clock() : 0;
      // Longer than any is fresh: the clock was set back, and this one is from the future.
      const isFresh = freshFor > 0 && freshFor <= PASSPORT_REUSE_MS;
      if (known && known.holder === snapshot && isFresh) return known.passport;
      const iat = Math.floor(clock() / 1000);
      const claims = {
        iss: namespace,
        aud: passportAudience(namespace),
        sub: holder.id,
        role: holder.role,
        ...(sessionId === null ? {} : { sid: sessionId }),
        tz: holder.timeZone,
        scope: scopes.join(" "),
        // RFC 8693, section 4.1: who acts for the subject.
        ...(client === undefined ? {} : { act: { sub: client } }),
        iat,
        exp: iat + PASSPORT_TTL,
      };
      const passport = sign(claims, PASSPORT_TYPE);
      passports.set(id, { passport, holder: snapshot, freshUntil: clock() + PASSPORT_REUSE_MS });
      return passport;
    },
  };
}

export type AccessTokens = ReturnType<typeof createAccessTokens>;
