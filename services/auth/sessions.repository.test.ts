import { v7 as uuidv7 } from "uuid";
import { findSession, NOW, storeSession, storeUser } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createSessionRepository, type SessionRepository, type SessionRow } from "./sessions.repository.ts";

let db: MigratedDatabase;
let sessions: SessionRepository;

beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());
beforeEach(() => {
  sessions = createSessionRepository(db.database);
});

const at = (ms: number) => new Date(NOW + ms);

/** A session that is not stored yet. */
const sessionOf = (userId: string): SessionRow => ({
  id: uuidv7(),
  userId,
  refreshCounter: 0,
  refreshedAt: at(0),
  lastUsedAt: at(0),
  createdAt: at(0),
  endedAt: null,
  address: "203.0.113.7",
  userAgent: "a browser",
});

describe("a session", () => {
  it("is opened for who still has the password that was compared", async () => {
    const user = await storeUser(db.database);
    const session = sessionOf(user.id);
    expect(await sessions.insertFor(session, user.passwordHash, 100)).toBe(true);
    expect(await findSession(db.database, session.id)).toEqual(session);
  });

  it("is not opened with another password, for the disabled, nor for nobody", async () => {
    const [user, disabled] = [
      await storeUser(db.database),
      await storeUser(db.database, { disabledAt: at(0) }),
    ];
    for (const [userId, hash] of [
      [user.id, "hash of another"],
      [disabled.id, disabled.passwordHash],
      [uuidv7(), user.passwordHash],
    ] as const) {
      const session = sessionOf(userId);
      expect(await sessions.insertFor(session, hash, 100)).toBe(false);
      expect(await findSession(db.database, session.id)).toBeUndefined();
    }
  });

  it("ends the one that was not used for longest when there are too many, of this person only", async () => {
    const [user, other] = [await storeUser(db.database), await storeUser(db.database)];
    const others = await storeSession(db.database, { userId: other.id, lastUsedAt: at(0) });
    const ended = await storeSession(db.database, { userId: user.id, lastUsedAt: at(1), endedAt: at(9) });
    const stored = [];
    for (const minute of [4, 2, 3])
      stored.push(await storeSession(db.database, { userId: user.id, lastUsedAt: at(minute) }));
    const session = { ...sessionOf(user.id), lastUsedAt: at(5), createdAt: at(5) };
    expect(await sessions.insertFor(session, user.passwordHash, 3)).toBe(true);

    const endOf = async ({ id }: { id: string }) => (await findSession(db.database, id))?.endedAt;
    expect(await Promise.all([session, ...stored].map(endOf))).toEqual([null, null, at(5), null]);
    expect([await endOf(others), await endOf(ended)]).toEqual([null, at(9)]);
  });

  it("knows its owner until it ends", async () => {
    const session = await storeSession(db.database, { lastUsedAt: at(5) });
    expect(await sessions.findOwner(session.id)).toEqual({
      id: session.userId,
      email: `${session.userId}@example.test`,
      role: "user",
      timeZone: "UTC",
      lastUsedAt: at(5),
    });
    expect(await sessions.end(session.userId, session.id, at(9))).toBe(true);
    expect(await sessions.findOwner(session.id)).toBeNull();
  });

  it("has no owner once the person is disabled or gone", async () => {
    const [disabled, removed] = [await storeSession(db.database), await storeSession(db.database)];
    await db.database.query("UPDATE auth.users SET disabled_at = now() WHERE id = $1", {
      bind: [disabled.userId],
    });
    await db.database.query("DELETE FROM auth.users WHERE id = $1", { bind: [removed.userId] });

    expect(await sessions.findOwner(disabled.id)).toBeNull();
    expect(await sessions.findOwner(removed.id)).toBeNull();
  });

  it("is changed by one at a time: each sees what the one before it left", async () => {
    const { id } = await storeSession(db.database);
    const seen: number[] = [];
    await Promise.all(
      Array.from({ length: 20 }, () =>
        sessions.change(id, ({ refreshCounter }) => {
          seen.push(refreshCounter);
          return { refreshCounter: refreshCounter + 1 };
        }),
      ),
    );
    expect(seen).toEqual(Array.from({ length: 20 }, (_, index) => index));
  });

  it("is changed alone, and by nothing not at all", async () => {
    const [session, other] = [await storeSession(db.database), await storeSession(db.database)];
    const seen: SessionRow[] = [];
    await sessions.change(session.id, (found) => {
      seen.push(found);
      return {};
    });
    expect(seen).toEqual([session]);
    await sessions.change(session.id, () => ({ refreshCounter: 1 }));
    expect(await findSession(db.database, session.id)).toEqual({ ...session, refreshCounter: 1 });
    expect(await findSession(db.database, other.id)).toEqual(other);
  });

  it("that is not there is not changed", async () => {
    await sessions.change(uuidv7(), () => {
      throw new Error("there is nothing to decide");
    });
  });

  it("line 18: that refreshes and ends at once is dead in the end", async () => {
    const { id, userId } = await storeSession(db.database);
    await Promise.all([
      sessions.change(id, ({ refreshCounter }) => ({ refreshCounter: refreshCounter + 1 })),
      sessions.end(userId, id, at(0)),
      sessions.change(id, ({ refreshCounter }) => ({ refreshCounter: refreshCounter + 1 })),
    ]);
    expect(await sessions.findOwner(id)).toBeNull();
  });

  it("ends once, by its owner, and keeps the moment it did", async () => {
    const [session, other] = [await storeSession(db.database), await storeSession(db.database)];
    expect(await sessions.end(other.userId, session.id, at(5))).toBe(false);
    expect(await sessions.end(session.userId, session.id, at(5))).toBe(true);
    expect(await sessions.end(session.userId, session.id, at(9))).toBe(false);
    expect(await findSession(db.database, session.id)).toEqual({ ...session, endedAt: at(5) });
    expect(await findSession(db.database, other.id)).toEqual(other);
  });

  it("remembers its latest use, whoever tells of it last", async () => {
    const [session, other] = [await storeSession(db.database), await storeSession(db.database)];
    await sessions.touch(session.id, at(9));
    await sessions.touch(session.id, at(5));
    expect(await findSession(db.database, session.id)).toEqual({ ...session, lastUsedAt: at(9) });
    expect(await findSession(db.database, other.id)).toEqual(other);
  });
});

it("opening and changing a session take one connection, which is in one transaction", async () => {
  const alone = createSessionRepository(db.connect({ max: 1 }));
  const user = await storeUser(db.database);
  const session = sessionOf(user.id);
  await alone.insertFor(session, user.passwordHash, 100);
  await alone.change(session.id, () => ({ refreshCounter: 1 }));
  expect(await findSession(db.database, session.id)).toEqual({ ...session, refreshCounter: 1 });
});

describe("a person's sessions", () => {
  it("are listed the latest used first, without those that ended or idled away", async () => {
    const first = await storeSession(db.database);
    const { userId } = first;
    const second = await storeSession(db.database, { userId });
    const used = await storeSession(db.database, { userId, lastUsedAt: at(5), refreshedAt: at(-99) });
    await storeSession(db.database, { userId, endedAt: at(0) });
    await storeSession(db.database, { userId, refreshedAt: at(-100) });
    await storeSession(db.database);
    expect(await sessions.list(userId, at(-100))).toEqual([used, second, first]);
  });

  it("end all, or all but one, and nobody else's", async () => {
    const mine = await storeSession(db.database);
    const { userId } = mine;
    const second = await storeSession(db.database, { userId });
    const ended = await storeSession(db.database, { userId, endedAt: at(-5) });
    const theirs = await storeSession(db.database);
    const stored = (...rows: SessionRow[]) => Promise.all(rows.map(({ id }) => findSession(db.database, id)));

    await sessions.endAll(userId, at(5), mine.id);
    expect(await stored(mine, second, ended, theirs)).toEqual([
      mine,
      { ...second, endedAt: at(5) },
      ended,
      theirs,
    ]);
    await sessions.endAll(userId, at(9));
    expect(await stored(mine, second, theirs)).toEqual([
      { ...mine, endedAt: at(9) },
      { ...second, endedAt: at(5) },
      theirs,
    ]);
  });
});
