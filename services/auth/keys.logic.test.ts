import { sign, verify } from "node:crypto";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createKeyring, createSigningKey, resealKey, type StoredKey } from "./keys.logic.ts";
import { createKeyRepository } from "./keys.repository.ts";

const SECRET = "the secret of these tests";
const NOW = Date.UTC(2026, 10, 22);

/** A store in memory, as the repository behaves. */
function buildStore(stored: StoredKey[] = []) {
  return {
    stored,
    list: async () => [...stored],
    insertFirst: async (key: StoredKey) => {
      if (stored.length === 0) stored.push(key);
    },
  };
}

const keyringOn = (keys: Parameters<typeof createKeyring>[0]["keys"], secret = SECRET) =>
  createKeyring({ keys, secret, clock: () => NOW });

async function openKeyring(store = buildStore()) {
  const keyring = keyringOn(store);
  await keyring.open();
  return { keyring, store };
}

describe("the keyring", () => {
  it("makes a key on an empty store, and the next one to open finds it", async () => {
    const { keyring, store } = await openKeyring();
    const { keyring: next } = await openKeyring(store);
    const { kid, privateKey } = keyring.current();
    const publicKey = await next.find(kid);
    const message = Buffer.from("a message");

    expect(store.stored).toHaveLength(1);
    expect(next.current().kid).toBe(kid);
    if (!publicKey) throw new Error("the key was not found");
    expect(verify("sha256", message, publicKey, sign("sha256", message, privateKey))).toBe(true);
  });

  it("signs nothing before it is open", () => {
    expect(() => keyringOn(buildStore()).current()).toThrow("not open");
  });

  it("line 16: shows public parts only", async () => {
    const { keyring } = await openKeyring();

    expect(keyring.jwks()).toEqual({
      keys: [
        {
          kty: "EC",
          crv: "P-256",
          x: expect.any(String),
          y: expect.any(String),
          kid: keyring.current().kid,
          alg: "ES256",
          use: "sig",
        },
      ],
    });
  });

  it("line 20: stores nothing that could sign", async () => {
    const { keyring, store } = await openKeyring();
    const jwk = keyring.current().privateKey.export({ format: "jwk" });
    const der = keyring.current().privateKey.export({ format: "der", type: "pkcs8" });
    const [stored] = store.stored;

    expect(stored?.sealedPrivateKey.includes(Buffer.from(String(jwk.d), "base64url"))).toBe(false);
    expect(stored?.sealedPrivateKey.includes(der.subarray(-64))).toBe(false);
    expect(JSON.stringify(stored?.publicJwk)).not.toContain(String(jwk.d));
  });

  it("does not open with another AUTH_SECRET, and says so", async () => {
    const { store } = await openKeyring();

    await expect(keyringOn(store, `${SECRET}!`).open()).rejects.toThrow(
      /AUTH_SECRET does not open the signing keys/,
    );
  });

  it("does not open a sealed key that was put under another key id", async () => {
    const [one] = (await openKeyring()).store.stored;
    const [other] = (await openKeyring()).store.stored;
    if (!one || !other) throw new Error("no keys");
    const swapped = buildStore([{ ...one, sealedPrivateKey: other.sealedPrivateKey }]);

    await expect(keyringOn(swapped).open()).rejects.toThrow(/AUTH_SECRET does not open/);
  });

  it("does not open a sealed key with any one byte changed", async () => {
    const [key] = (await openKeyring()).store.stored;
    if (!key) throw new Error("no key");
    const opened: number[] = [];
    for (let index = 0; index < key.sealedPrivateKey.length; index += 1) {
      const sealedPrivateKey = Buffer.from(key.sealedPrivateKey);
      sealedPrivateKey[index] = (sealedPrivateKey[index] ?? 0) ^ 1;
      await keyringOn(buildStore([{ ...key, sealedPrivateKey }]))
        .open()
        .then(() => opened.push(index))
        .catch(() => {});
    }
    expect(opened).toEqual([]);
  });

  it("does not open a sealed key that was cut short", async () => {
    const [key] = (await openKeyring()).store.stored;
    if (!key) throw new Error("no key");
    for (const length of [0, 12, 28, 29, key.sealedPrivateKey.length - 1]) {
      const cut = { ...key, sealedPrivateKey: key.sealedPrivateKey.subarray(0, length) };
      await expect(keyringOn(buildStore([cut])).open()).rejects.toThrow();
    }
  });
});

describe("a key that another one took over from", () => {
  const MINUTES = 60_000;
  const rotate = async () => {
    const { store } = await openKeyring();
    const [old] = store.stored;
    if (!old) throw new Error("no key");
    const next = createSigningKey(SECRET, NOW);
    store.stored.splice(0, 1, next, { ...old, retiredAt: new Date(NOW) });
    const time = { now: NOW };
    const keyring = createKeyring({ keys: store, secret: SECRET, clock: () => time.now });
    await keyring.open();
    return { keyring, time, old, next };
  };

  it("leaves the new one to be found at once by who has not heard of it, and made-up names to one look in five seconds", async () => {
    const { keyring, store } = await openKeyring();
    const list = jest.spyOn(store, "list");
    const looks = async (...kids: string[]) => {
      list.mockClear();
      const found = [];
      for (const kid of kids) found.push((await keyring.find(kid)) !== undefined);
      return [found, list.mock.calls.length];
    };
    const next = createSigningKey(SECRET, NOW);
    store.stored.unshift(next);
    expect(await looks(next.kid, next.kid)).toEqual([[true, true], 1]);
    expect(await looks("made up", "made up, too", "made up")).toEqual([[false, false, false], 1]);
  });

  it("signs nothing more", async () => {
    const { keyring, next } = await rotate();
    expect(keyring.current().kid).toBe(next.kid);
  });

  it("line 16: verifies and is published until the last token it signed has expired, to the millisecond", async () => {
    const { keyring, time, old, next } = await rotate();
    const state = async () => [
      (await keyring.find(old.kid)) !== undefined,
      (await keyring.find(next.kid)) !== undefined,
      keyring.jwks().keys.map(({ kid }) => kid),
    ];
    time.now = NOW + 15 * MINUTES - 1;
    expect(await state()).toEqual([true, true, [next.kid, old.kid]]);
    time.now = NOW + 15 * MINUTES;
    expect(await state()).toEqual([false, true, [next.kid]]);
  });

  it("is opened by another AUTH_SECRET once it was sealed again, and by the first no more", async () => {
    const { old } = await rotate();
    const resealed = buildStore([resealKey(old, SECRET, "another secret")]);

    await keyringOn(resealed, "another secret").open();
    await expect(keyringOn(resealed).open()).rejects.toThrow(/AUTH_SECRET/);
    expect(() => resealKey(old, "a wrong secret", "another secret")).toThrow(/AUTH_SECRET/);
  });
});

describe("the keyring on PostgreSQL", () => {
  let db: MigratedDatabase;
  beforeAll(async () => {
    db = await createMigratedDatabase();
  });
  afterAll(() => db.drop());

  it("ends with one key when several replicas open an empty store at once", async () => {
    const replicas = Array.from({ length: 5 }, () => keyringOn(createKeyRepository(db.connect())));
    await Promise.all(replicas.map((replica) => replica.open()));
    const kids = new Set(replicas.map((replica) => replica.current().kid));
    const rows = await createKeyRepository(db.database).list();

    expect(kids.size).toBe(1);
    expect(rows.map(({ kid }) => kid)).toEqual([...kids]);
  });

  it("does not open with another AUTH_SECRET, and adds no key of its own", async () => {
    const repository = createKeyRepository(db.database);
    const before = await repository.list();

    await expect(keyringOn(repository, "another secret").open()).rejects.toThrow(/AUTH_SECRET/);
    expect(await repository.list()).toEqual(before);
  });
});
