import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";
import { createMisses } from "../../lib/misses.ts";
import type { PublicJwk } from "../../lib/passport.ts";

/** A stored key: the private half is sealed, so a copy of the database signs nothing. */
export interface StoredKey {
  kid: string;
  publicJwk: PublicJwk;
  sealedPrivateKey: Buffer;
  createdAt: Date;
  /** When another key took over signing. */
  retiredAt: Date | null;
}

interface KeyStore {
  /** The one that signs first. */
  list(): Promise<StoredKey[]>;
  insertFirst(key: StoredKey): Promise<void>;
}

/** A retired key verifies until the last token that it may have signed is gone: the longest access token's life. */
const RETIRED_LIFE_MS = 15 * 60_000;

export interface SigningKey {
  kid: string;
  privateKey: KeyObject;
}

export type Keyring = ReturnType<typeof createKeyring>;

const IV_BYTES = 12;
const TAG_BYTES = 16;

/** 32 bytes for one purpose, derived from AUTH_SECRET (RFC 5869). */
export const deriveKey = (secret: string, purpose: string): Buffer =>
  Buffer.from(hkdfSync("sha256", secret, "", `taskmesh ${purpose}`, 32));

/** The mesh's ES256 keys: every auth replica reads the same ones, and the first to start makes one. */
export function createKeyring({
  keys,
  secret,
  clock,
}: {
  keys: KeyStore;
  secret: string;
  clock: () => number;
}) {
  const sealingKey = deriveKey(secret, "signing keys");
  let signing: SigningKey | undefined;
  let stored: StoredKey[] = [];
  let publicKeys = new Map<string, KeyObject>();
  const misses = createMisses(clock);
  let loading: Promise<void> | undefined;

  /** Once for all who ask at the same time. */
  function reload(): Promise<void> {
    loading ??= load().finally(() => {
      loading = undefined;
    });
    return loading;
  }

  async function load(): Promise<void> {
    stored = await keys.list();
    publicKeys = importPublic(stored);
  }

  const verifies = ({ retiredAt }: StoredKey): boolean =>
    retiredAt === null || clock() - retiredAt.getTime() < RETIRED_LIFE_MS;

  return {
    /**
     * Must come before anything is signed; again, it takes up a key that was rotated in.
     *
     * @throws when AUTH_SECRET is not the one that sealed the keys
     */
    async open(): Promise<void> {
      await reload();
      if (stored.length === 0) {
        await keys.insertFirst(newKey(sealingKey, clock()));
        await reload();
      }
      const [first] = stored;
      if (first) signing = { kid: first.kid, privateKey: unseal(first, sealingKey) };
    },

    current(): SigningKey {
      if (!signing) throw new Error("The keyring is not open.");
      return signing;
    },

    /** The key with this id, looked up again when another replica may have made it. */
    async find(kid: string): Promise<KeyObject | undefined> {
      if (!publicKeys.has(kid) && misses.mayLook()) await reload();
      if (!publicKeys.has(kid)) misses.note();
      return stored.some((key) => key.kid === kid && verifies(key)) ? publicKeys.get(kid) : undefined;
    },

    /** RFC 7517 */
    jwks: (): { keys: PublicJwk[] } => ({
      keys: stored.filter(verifies).map(({ publicJwk }) => publicJwk),
    }),
  };
}

const importPublic = (stored: StoredKey[]): Map<string, KeyObject> =>
  new Map(stored.map(({ kid, publicJwk }) => [kid, createPublicKey({ key: publicJwk, format: "jwk" })]));

/** A fresh key, sealed under AUTH_SECRET: for `npm run keys -- rotate`. */
export const createSigningKey = (secret: string, now: number): StoredKey =>
  newKey(deriveKey(secret, "signing keys"), now);

/**
 * The same key under another AUTH_SECRET: for `npm run keys -- reseal`.
 *
 * @throws when the old secret is not the one that sealed it
 */
export function resealKey(key: StoredKey, oldSecret: string, newSecret: string): StoredKey {
  const privateKey = unseal(key, deriveKey(oldSecret, "signing keys"));
  const plain = privateKey.export({ format: "der", type: "pkcs8" });
  return { ...key, sealedPrivateKey: seal(plain, key.kid, deriveKey(newSecret, "signing keys")) };
}

function newKey(sealingKey: Buffer, now: number): StoredKey {
  const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const kid = randomBytes(12).toString("base64url");
  const sealedPrivateKey = seal(privateKey.export({ format: "der", type: "pkcs8" }), kid, sealingKey);
  const publicJwk = { ...publicKey.export({ format: "jwk" }), kid, alg: "ES256", use: "sig" };
  return { kid, publicJwk, sealedPrivateKey, createdAt: new Date(now), retiredAt: null };
}

/** iv ‖ tag ‖ ciphertext; the key id is authenticated too, so that rows can't be swapped. */
function seal(plain: Buffer, kid: string, sealingKey: Buffer): Buffer {
  const iv = randomBytes(IV_BYTES);
  const cipher = createCipheriv("aes-256-gcm", sealingKey, iv).setAAD(Buffer.from(kid));
  const ciphertext = Buffer.concat([cipher.update(plain), cipher.final()]);
  return Buffer.concat([iv, cipher.getAuthTag(), ciphertext]);
}

function unseal({ kid, sealedPrivateKey: sealed }: StoredKey, sealingKey: Buffer): KeyObject {
  const decipher = createDecipheriv("aes-256-gcm", sealingKey, sealed.subarray(0, IV_BYTES))
    .setAAD(Buffer.from(kid))
    .setAuthTag(sealed.subarray(IV_BYTES, IV_BYTES + TAG_BYTES));
  try {
    const plain = Buffer.concat([decipher.update(sealed.subarray(IV_BYTES + TAG_BYTES)), decipher.final()]);
    return createPrivateKey({ key: plain, format: "der", type: "pkcs8" });
  } catch {
    throw new Error(
      "AUTH_SECRET does not open the signing keys in this database: it is not the one they were made with.",
    );
  }
}
