import { v7 as uuidv7 } from "uuid";
import {
  findSession,
  findUser,
  NOW,
  storeApiToken,
  storeSession,
  storeUser,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createErasureRepository } from "./erasures.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());
beforeEach(() => db.database.query("DELETE FROM auth.erasures"));

const at = (ms: number) => new Date(NOW + ms);

/** A person who was deleted then. */
async function removed(requestedAt: Date): Promise<string> {
  const { userId } = await storeSession(db.database);
  await createErasureRepository(db.database).removeUser(userId, requestedAt);
  return userId;
}

describe("removing a user", () => {
  it("takes what auth has of them, and notes that others may have more", async () => {
    const erasures = createErasureRepository(db.database);
    const [session, other] = [await storeSession(db.database), await storeSession(db.database)];
    await storeApiToken(db.database, { userId: session.userId });
    await erasures.removeUser(session.userId, at(0));
    expect(await findUser(db.database, session.userId)).toBeUndefined();
    expect(await findSession(db.database, session.id)).toBeUndefined();
    expect(await findSession(db.database, other.id)).toEqual(other);
    expect(await erasures.pending(at(-1))).toEqual([{ userId: session.userId, requestedAt: at(0) }]);
  });

  it("takes an administrator when there is another, and of two at once one", async () => {
    await db.database.query("UPDATE auth.users SET role = 'user'");
    const [ada, ben, off] = [
      await storeUser(db.database, { role: "admin" }),
      await storeUser(db.database, { role: "admin" }),
      await storeUser(db.database, { role: "admin", disabledAt: at(0) }),
    ];
    const replicas = [db.database, db.connect()].map(createErasureRepository);
    const outcomes = await Promise.all(
      [ada, ben].map(({ id }, index) => replicas[index]?.removeUser(id, at(0))),
    );
    expect(outcomes.toSorted()).toEqual(["last_admin", "removed"]);
    expect(await createErasureRepository(db.database).removeUser(off.id, at(0))).toBe("removed");
    const left = await Promise.all([ada, ben].map(({ id }) => findUser(db.database, id)));
    expect(left.filter(Boolean)).toHaveLength(1);
  });

  it("who is not there notes nothing", async () => {
    const erasures = createErasureRepository(db.database);
    await erasures.removeUser(uuidv7(), at(0));
    expect(await erasures.pending(at(0))).toEqual([]);
  });
});

describe("an erasure", () => {
  it("is due until it was done once, and a last time later", async () => {
    const erasures = createErasureRepository(db.database);
    const userId = await removed(at(0));
    const other = await removed(at(10));
    const due = async (before: Date) => (await erasures.pending(before)).map((each) => each.userId).sort();
    expect(await due(at(-1))).toEqual([userId, other].sort());
    await erasures.erasedOnce(userId);
    expect(await due(at(-1))).toEqual([other]);
    expect(await due(at(0))).toEqual([userId, other].sort());
    await erasures.done(userId);
    expect(await due(at(0))).toEqual([other]);
  });

  it("has its turn also behind more than a hundred that are never done", async () => {
    const erasures = createErasureRepository(db.database);
    await db.database.query(
      `INSERT INTO auth.erasures (user_id, requested_at, erased_once)
         SELECT gen_random_uuid(), $1, false FROM generate_series(1, 120)`,
      { bind: [at(10)] },
    );
    const newer = await removed(at(20));
    const seen = new Set<string>();
    // Chance leaves one out of a hundred rounds with less than one in 10^70.
    for (let round = 0; round < 100; round++)
      for (const { userId } of await erasures.pending(at(0))) seen.add(userId);
    expect(seen).toContain(newer);
  });
});
