import { createHmac, generateKeyPairSync, type KeyObject, sign } from "node:crypto";

/** A token that would be accepted, in its parts. */
export interface Genuine {
  header: { alg: string; typ: string; kid: string };
  claims: Record<string, unknown>;
  privateKey: KeyObject;
  publicKey: KeyObject;
}

const encode = (part: unknown): string => Buffer.from(JSON.stringify(part)).toString("base64url");

/** Signs whatever it is given, without any library's idea of what is allowed (RFC 7515, RFC 7518 3.4). */
export function forge(header: object, claims: unknown, privateKey: KeyObject): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  const signature = sign("sha256", Buffer.from(signed), { key: privateKey, dsaEncoding: "ieee-p1363" });
  return `${signed}.${signature.toString("base64url")}`;
}

export const newKeyPair = () => generateKeyPairSync("ec", { namedCurve: "P-256" });

function withHmac(header: object, claims: unknown, key: string | Buffer): string {
  const signed = `${encode(header)}.${encode(claims)}`;
  return `${signed}.${createHmac("sha256", key).update(signed).digest("base64url")}`;
}

/**
 * Tokens that must be refused whoever checks them, each with the attack it stands for. The attacker sees genuine
 * tokens and public keys; where a token is signed with the genuine key, its signer must not have meant this use.
 *
 * @param keyServer where tokens say that the attacker's key is to be fetched
 */
export function forgeries(
  { header, claims, privateKey, publicKey }: Genuine,
  keyServer = "http://127.0.0.1:9",
): [string, string][] {
  const attacker = newKeyPair();
  const attackersJwk = attacker.publicKey.export({ format: "jwk" });
  const pem = publicKey.export({ format: "pem", type: "spki" });
  const genuine = forge(header, claims, privateKey);
  const [head = "", body = "", signature = ""] = genuine.split(".");
  const { exp: _exp, ...withoutExpiry } = claims;
  const { kid: _kid, ...withoutKeyId } = header;
  const { typ: _typ, ...withoutType } = header;
  const now = Number(claims.exp);

  const signedByUs = (
    name: string,
    changedHeader: object,
    changedClaims: unknown = claims,
  ): [string, string] => [name, forge(changedHeader, changedClaims, privateKey)];
  const signedByAttacker = (name: string, changedHeader: object): [string, string] => [
    name,
    forge(changedHeader, claims, attacker.privateKey),
  ];
  return [
    ...["none", "None", "NONE", "nOnE", ""].flatMap((alg): [string, string][] => [
      [`alg "${alg}" without a signature`, `${encode({ ...header, alg })}.${body}.`],
      [`alg "${alg}" with a genuine signature`, `${encode({ ...header, alg })}.${body}.${signature}`],
    ]),
    ["HS256 keyed with the public key as PEM", withHmac({ ...header, alg: "HS256" }, claims, pem)],
    [
      "HS256 keyed with the public key as DER",
      withHmac({ ...header, alg: "HS256" }, claims, publicKey.export({ format: "der", type: "spki" })),
    ],
    [
      "HS256 keyed with the public key as JWK",
      withHmac({ ...header, alg: "HS256" }, claims, JSON.stringify(publicKey.export({ format: "jwk" }))),
    ],
    ["HS256 keyed with nothing", withHmac({ ...header, alg: "HS256" }, claims, "")],
    signedByUs("another algorithm than the key's", { ...header, alg: "ES384" }),
    signedByUs("an algorithm that does not exist", { ...header, alg: "ES256K" }),

    signedByAttacker("another key under a genuine key id", header),
    signedByAttacker("another key without a key id", withoutKeyId),
    signedByAttacker("an unknown key id", { ...header, kid: "unknown" }),
    signedByAttacker("a key id that is a path", { ...header, kid: "../../../../../dev/null" }),
    signedByAttacker("a key id that is SQL", { ...header, kid: "x' UNION SELECT 'key'; --" }),
    signedByAttacker("a key id that every object has", { ...header, kid: "__proto__" }),
    signedByAttacker("a key id that is a list", { ...header, kid: [header.kid] }),
    signedByAttacker("a key id that is an object", { ...header, kid: { toString: header.kid } }),
    signedByAttacker("a key brought along (jwk)", { ...header, jwk: attackersJwk }),
    signedByAttacker("a key brought along without a key id", { ...withoutKeyId, jwk: attackersJwk }),
    signedByAttacker("a key set to fetch (jku)", { ...header, jku: `${keyServer}/jwks.json` }),
    signedByAttacker("a certificate to fetch (x5u)", { ...header, x5u: `${keyServer}/cert.pem` }),
    signedByAttacker("a certificate brought along (x5c)", { ...header, x5c: ["MIIB"] }),

    signedByUs("a critical extension", { ...header, crit: ["exp"] }),
    signedByUs("an unknown critical extension", { ...header, crit: ["b64"], b64: false }),
    signedByUs("no type", withoutType),
    signedByUs("the type of any JWT", { ...header, typ: "JWT" }),

    signedByUs("no expiry", header, withoutExpiry),
    signedByUs("an expiry that is text", header, { ...claims, exp: String(now) }),
    signedByUs("an expiry of null", header, { ...claims, exp: null }),
    signedByUs("an expiry in the past", header, { ...claims, exp: 1 }),
    signedByUs("nbf ahead", header, { ...claims, nbf: now }),
    signedByUs("another audience", header, { ...claims, aud: "elsewhere" }),
    signedByUs("an audience that begins like ours", header, { ...claims, aud: `${claims.aud}x` }),
    signedByUs("no audience", header, { ...claims, aud: undefined }),
    signedByUs("a session that is an object", header, { ...claims, sid: { $ne: "" } }),
    signedByUs("claims that are text", header, "claims"),
    signedByUs("claims that are null", header, null),

    ["no signature", `${head}.${body}`],
    ["an empty signature", `${head}.${body}.`],
    ["a signature of zeros", `${head}.${body}.${Buffer.alloc(64).toString("base64url")}`],
    ["a signature cut short", genuine.slice(0, -2)],
    ["a part too many", `${genuine}.${signature}`],
    ["padding", `${genuine}==`],
    ["white space around it", ` ${genuine}\n`],
    ["nothing", ""],
    ["two dots", ".."],
    ["no JWT at all", "tmr_AAAA"],
  ];
}

/** The same token with one bit of its text turned over. */
export function flipBit(token: string, bit: number): string {
  const bytes = Buffer.from(token, "latin1");
  const index = Math.floor(bit / 8) % bytes.length;
  bytes[index] = (bytes[index] ?? 0) ^ (1 << (bit % 8));
  return bytes.toString("latin1");
}
