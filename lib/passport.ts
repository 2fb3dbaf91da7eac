import { createPublicKey, type JsonWebKey, type KeyObject } from "node:crypto";
import jwt from "jsonwebtoken";
import { LRUCache } from "lru-cache";
import { clock as clockOfProcess } from "./clock.ts";
import { problem } from "./errors.ts";
import { createMisses } from "./misses.ts";

/**
 * Who a call is made for. The auth service signs it into a passport, and every service that receives a call
 * verifies that passport itself: a node of the mesh could write anything else into `ctx.meta`.
 */
export interface Identity {
  userId: string;
  /** `service`: nobody's; `userId` is then the service's own id. */
  role: "user" | "admin" | "service";
  /** Null when the person is not there: an API token, or a service that acts for them. */
  sessionId: string | null;
  /** IANA name; decides when a day begins for this person. */
  timeZone: string;
  /** What this caller may do; each action asks for one. */
  scopes: readonly Scope[];
  /** The service that acts for this person by its own credential; null when the person does. */
  client: string | null;
}

/** What an API token or a service can be given; somebody who signed in has all of them. */
export const SCOPES = ["tasks:read", "tasks:write", "account"] as const;
export type Scope = (typeof SCOPES)[number];

/** A public signing key as auth publishes it (RFC 7517). */
export interface PublicJwk extends JsonWebKey {
  kid: string;
}

export const PASSPORT_TYPE = "passport+jwt";

/** Seconds that a passport is good for: a session that ends stops being felt on the bus after this at the latest. */
export const PASSPORT_TTL = 60;

/** `aud` of the passports of one mesh, so that another mesh's are refused. */
export const passportAudience = (namespace: string): string => `${namespace}/bus`;

/** A key that auth no longer publishes is forgotten after this. */
const KEYS_MAX_AGE_MS = 5 * 60_000;
/** Seconds that clocks of two nodes may differ. */
export const CLOCK_SKEW = 60;
const invalid = (): Error => problem("invalid_passport", "The call carries no valid passport.");

interface VerifierOptions {
  namespace: string;
  /** Auth's current public keys; asked for again when a passport names a key that is not among them. */
  fetchKeys: () => Promise<PublicJwk[]>;
  clock?: () => number;
}

/**
 * Verifies passports with auth's public keys, so that a service needs no secret. A verified passport is
 * remembered until it expires: auth hands out the same one while it is fresh, and the signature is paid once.
 *
 * @throws invalid_passport, or whatever `fetchKeys` fails with
 */
export function createPassportVerifier({ namespace, fetchKeys, clock = clockOfProcess }: VerifierOptions) {
  const verified = new LRUCache<string, { identity: Identity; expiresAt: number }>({ max: 10_000 });
  let keys = new Map<string, KeyObject>();
  let loading: Promise<void> | undefined;
  let loadedAt = Number.NEGATIVE_INFINITY;
  const misses = createMisses(clock);

  async function load(): Promise<void> {
    const jwks = await fetchKeys();
    keys = new Map(jwks.map((key) => [key.kid, createPublicKey({ key, format: "jwk" })]));
    loadedAt = clock();
  }

  async function keyFor(kid: string): Promise<KeyObject> {
    // Whichever way: a clock may have been set back.
    const age = Math.abs(clock() - loadedAt);
    if (age > KEYS_MAX_AGE_MS || (!keys.has(kid) && misses.mayLook())) {
      loading ??= load().finally(() => {
        loading = undefined;
      });
      await loading;
    }
    const key = keys.get(kid);
    if (key) return key;
    misses.note();
    throw invalid();
  }

  return async function verify(passport: unknown): Promise<Identity> {
    if (typeof passport !== "string" || passport.length > 4_096) throw invalid();
    const known = verified.get(passport);
    if (known && known.expiresAt > clock()) return known.identity;

    if (!isCanonical(passport)) throw invalid();
    const header = jwt.decode(passport, { complete: true })?.header;
    if (!header?.kid || header.typ !== PASSPORT_TYPE || header.crit) throw invalid();
    const key = await keyFor(header.kid);
    const claims = readClaims(passport, key, passportAudience(namespace), clock());
    const { sub, role, sid, tz, scope, act, exp } = claims;
    if (
      typeof sub !== "string" ||
      (role !== "user" && role !== "admin" && role !== "service") ||
      (sid !== undefined && typeof sid !== "string") ||
      typeof tz !== "string" ||
      typeof scope !== "string" ||
      exp === undefined ||
      // auth signs none that lives longer: who has an old key must not make one for good.
      exp > clock() / 1000 + PASSPORT_TTL + CLOCK_SKEW
    ) {
      throw invalid();
    }
    const granted = scope.split(" ");
    const identity: Identity = {
      userId: sub,
      role,
      sessionId: sid ?? null,
      timeZone: tz,
      scopes: SCOPES.filter((each) => granted.includes(each)),
      client: typeof act?.sub === "string" ? act.sub : null,
    };
    verified.set(passport, { identity, expiresAt: exp * 1000 });
    return identity;
  };
}

/** Base64 has several spellings of the same bytes; a token has one. */
export const isCanonical = (token: string): boolean =>
  token.split(".").every((part) => Buffer.from(part, "base64url").toString("base64url") === part);

function readClaims(token: string, key: KeyObject, audience: string, now: number): jwt.JwtPayload {
  try {
    const claims = jwt.verify(token, key, {
      algorithms: ["ES256"],
      audience,
      clockTimestamp: Math.floor(now / 1000),
    });
    if (typeof claims === "string") throw invalid();
    return claims;
  } catch {
    // Which check failed is nobody's business but an attacker's.
    throw invalid();
  }
}
