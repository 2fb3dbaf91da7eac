import { v7 as uuidv7 } from "uuid";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createErasureRepository } from "./erasures.repository.ts";
import { createSessionRepository, type SessionRow } from "./sessions.repository.ts";
import { createUserRepository, type UserRow } from "./users.repository.ts";

let db: MigratedDatabase;
let users: ReturnType<typeof createUserRepository>;
let sessions: ReturnType<typeof createSessionRepository>;

beforeAll(async () => {
  db = await createMigratedDatabase();
  users = createUserRepository(db.database);
  sessions = createSessionRepository(db.database);
});
afterAll(() => db.drop());

const NOW = new Date("2026-11-22T10:00:00.000Z");

const buildUser = (fields: Partial<UserRow> = {}): UserRow => {
  const id = uuidv7();
  return {
    id,
    email: `${id}@example.test`,
    passwordHash: "$2b$04$hash",
    name: "Ada",
    role: "user",
    timeZone: "UTC",
    locale: "en",
    emailVerified: false,
    disabledAt: null,
    createdAt: NOW,
    ...fields,
  };
};

async function buildSession(fields: Partial<SessionRow> = {}): Promise<SessionRow> {
  const user = buildUser();
  await users.insert(user);
  const session: SessionRow = {
    id: uuidv7(),
    userId: user.id,
    refreshCounter: 0,
    refreshedAt: NOW,
    lastUsedAt: NOW,
    createdAt: NOW,
    endedAt: null,
    address: "127.0.0.1",
    userAgent: "a browser",
    ...fields,
  };
  await sessions.insertFor(session, user.passwordHash);
  return session;
}

describe("users", () => {
  it("come back as they were stored, by id and by address", async () => {
    const user = buildUser({ name: "Åsa 🌱", disabledAt: NOW });
    await users.insert(user);

    expect(await users.find(user.id)).toEqual(user);
    expect(await users.findByEmail(user.email)).toEqual(user);
  });

  it("line 6: of one address inserted twenty times at once are one", async () => {
    const email = `${uuidv7()}@example.test`;
    const attempts = Array.from({ length: 20 }, () => buildUser({ email }));
    const inserted = await Promise.all(attempts.map((attempt) => users.insert(attempt)));

    expect(inserted.filter(Boolean)).toHaveLength(1);
    expect(await users.model.count({ where: { email } })).toBe(1);
    expect((await users.findByEmail(email))?.id).toBe(attempts[inserted.indexOf(true)]?.id);
  });

  it("that are not there are null, also to a change", async () => {
    const nobody = uuidv7();

    expect(await users.find(nobody)).toBeNull();
    expect(await users.findByEmail("nobody@example.test")).toBeNull();
    expect(await users.update(nobody, { name: "Eve" })).toBeNull();
  });

  it("change alone", async () => {
    const [ada, ben] = [buildUser(), buildUser()];
    await users.insert(ada);
    await users.insert(ben);

    expect(await users.update(ada.id, { timeZone: "Asia/Tokyo" })).toEqual({
      ...ada,
      timeZone: "Asia/Tokyo",
    });
    expect(await users.find(ben.id)).toEqual(ben);
  });

  it("take an address for text, whatever it holds", async () => {
    for (const email of ["%", "_", "' OR 1=1 --", "{}", "\\"])
      expect(await users.findByEmail(email)).toBeNull();
  });
});

describe("a session", () => {
  it("is not opened with a password that was changed since it was compared, nor for the disabled", async () => {
    const user = buildUser();
    await users.insert(user);
    const session = { ...(await buildSession()), id: uuidv7(), userId: user.id };
    await users.update(user.id, { passwordHash: "$2b$04$another" });

    expect(await sessions.insertFor(session, user.passwordHash)).toBe(false);
    expect(await sessions.findOwner(session.id)).toBeNull();
    expect(await sessions.insertFor(session, "$2b$04$another")).toBe(true);
    expect(await sessions.findOwner(session.id)).toMatchObject({ id: user.id });
    await users.changeAccess(user.id, { disabledAt: NOW });
    expect(await sessions.insertFor({ ...session, id: uuidv7() }, "$2b$04$another")).toBe(false);
  });

  it("knows its owner until it ends", async () => {
    const session = await buildSession();
    expect(await sessions.findOwner(session.id)).toEqual({
      id: session.userId,
      email: `${session.userId}@example.test`,
      role: "user",
      timeZone: "UTC",
      lastUsedAt: NOW,
    });

    await sessions.end(session.userId, session.id, NOW);
    expect(await sessions.findOwner(session.id)).toBeNull();
  });

  it("has no owner once the person is disabled or gone", async () => {
    const [disabled, removed] = [await buildSession(), await buildSession()];
    await users.model.update({ disabledAt: NOW }, { where: { id: disabled.userId } });
    await createErasureRepository(db.database).removeUser(removed.userId, NOW);

    expect(await sessions.findOwner(disabled.id)).toBeNull();
    expect(await sessions.findOwner(removed.id)).toBeNull();
  });

  it("is changed by one at a time: each sees what the one before it left", async () => {
    const { id } = await buildSession();
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

  it("line 18: that refreshes and ends at once is dead in the end", async () => {
    const { id, userId } = await buildSession();
    await Promise.all([
      sessions.change(id, ({ refreshCounter }) => ({ refreshCounter: refreshCounter + 1 })),
      sessions.end(userId, id, NOW),
      sessions.change(id, ({ refreshCounter }) => ({ refreshCounter: refreshCounter + 1 })),
    ]);
    expect(await sessions.findOwner(id)).toBeNull();
  });

  it("keeps the moment it ended first", async () => {
    const { id, userId } = await buildSession();
    await sessions.end(userId, id, NOW);
    await sessions.end(userId, id, new Date(NOW.getTime() + 1000));
    let endedAt: Date | null = null;
    await sessions.change(id, (session) => {
      endedAt = session.endedAt;
      return {};
    });
    expect(endedAt).toEqual(NOW);
  });

  it("ends with all of its owner's and nobody else's", async () => {
    const [mine, theirs] = [await buildSession(), await buildSession()];
    const second = { ...mine, id: uuidv7() };
    await sessions.insertFor(second, "$2b$04$hash");
    await sessions.endAll(mine.userId, NOW);

    const owners = await Promise.all([mine, second, theirs].map(({ id }) => sessions.findOwner(id)));
    expect(owners.map((owner) => owner?.id)).toEqual([undefined, undefined, theirs.userId]);
  });
});
