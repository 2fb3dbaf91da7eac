import { Client } from "pg";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { CHANNEL } from "./changes.repository.ts";
import { createSigningKey } from "./keys.logic.ts";
import { createKeyRepository } from "./keys.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());
beforeEach(() => db.database.query("DELETE FROM auth.signing_keys"));

const SECRET = "the secret of these tests";
const NOW = Date.UTC(2026, 10, 22);
const key = (ms = 0) => createSigningKey(SECRET, NOW + ms);

describe("signing keys", () => {
  it("of replicas that start at once are one, and come back as they were stored", async () => {
    const keys = createKeyRepository(db.database);
    const others = createKeyRepository(db.connect());
    const made = Array.from({ length: 6 }, () => key());
    await Promise.all(made.map((each, index) => (index % 2 ? keys : others).insertFirst(each)));
    const stored = await keys.list();
    expect(stored).toHaveLength(1);
    expect(made).toContainEqual(stored[0]);
  });

  it("are listed the newest first, those of one moment by their ids", async () => {
    const keys = createKeyRepository(db.database);
    const [a, b, old] = [
      { ...key(), kid: "a" },
      { ...key(), kid: "b" },
      { ...key(-1), kid: "c" },
    ];
    await keys.insertFirst(old);
    for (const each of [b, a]) await keys.rotate(each);
    await keys.rotate({ ...key(10), kid: "d" });
    expect((await keys.list()).map(({ kid }) => kid)).toEqual(["d", "b", "a", "c"]);
  });

  it("have the one that signs first, though the clock was set back that made it", async () => {
    const keys = createKeyRepository(db.database);
    const [first, behind] = [key(), key(-600_000)];
    await keys.insertFirst(first);
    await keys.rotate(behind);
    expect((await keys.list()).map(({ kid }) => kid)).toEqual([behind.kid, first.kid]);
  });

  it("are rotated: the one that signed retires, those before it keep the moment they did", async () => {
    const keys = createKeyRepository(db.database);
    const [first, second, third] = [key(0), key(10), key(20)];
    await keys.insertFirst(first);
    await keys.rotate(second);
    await keys.rotate(third);
    expect(await keys.list()).toEqual([
      third,
      { ...second, retiredAt: third.createdAt },
      { ...first, retiredAt: second.createdAt },
    ]);
  });

  it("that can't be stored retire none", async () => {
    const keys = createKeyRepository(db.database);
    const first = key();
    await keys.insertFirst(first);
    await expect(keys.rotate({ ...key(10), kid: first.kid })).rejects.toThrow();
    expect(await keys.list()).toEqual([first]);
  });

  it("are told to every replica when they are rotated", async () => {
    const listener = new Client({ connectionString: db.url });
    await listener.connect();
    try {
      await listener.query(`LISTEN ${CHANNEL}`);
      const told = new Promise((resolve) => listener.once("notification", resolve));
      await createKeyRepository(db.database).rotate(key());
      expect(await told).toMatchObject({ channel: CHANNEL, payload: "keys rotated" });
    } finally {
      await listener.end();
    }
  });

  it("are changed by one connection, in one transaction", async () => {
    const keys = createKeyRepository(db.connect({ max: 1 }));
    const [first, second] = [key(), key(10)];
    await keys.insertFirst(first);
    await keys.rotate(second);
    await keys.reseal((each) => each);
    expect((await keys.list()).map(({ kid }) => kid)).toEqual([second.kid, first.kid]);
  });

  it("are resealed all or none", async () => {
    const keys = createKeyRepository(db.database);
    await keys.insertFirst(key());
    await keys.rotate(key(10));
    const before = await keys.list();
    const sealed = Buffer.from("sealed anew");
    let changed = 0;
    const failing = () => {
      changed += 1;
      if (changed === 2) throw new Error("another secret");
      return { ...(before[0] ?? key()), sealedPrivateKey: sealed };
    };
    await expect(keys.reseal(failing)).rejects.toThrow("another secret");
    expect(await keys.list()).toEqual(before);
    expect(await keys.reseal((each) => ({ ...each, sealedPrivateKey: sealed }))).toBe(2);
    expect(await keys.list()).toEqual(before.map((each) => ({ ...each, sealedPrivateKey: sealed })));
  });
});
