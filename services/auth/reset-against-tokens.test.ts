import { v7 as uuidv7 } from "uuid";
import { query } from "../../tests/support/database.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { type ApiTokenRow, createApiTokenRepository } from "./api-tokens.repository.ts";
import { createMailedTokenRepository } from "./mailed-tokens.repository.ts";
import { createSessionRepository } from "./sessions.repository.ts";
import { createUserRepository } from "./users.repository.ts";

const NOW = new Date("2026-11-22T10:00:00.000Z");
const HASH = "$2b$04$hash";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

let count = 0;
const buildToken = (userId: string): ApiTokenRow => ({
  id: uuidv7(),
  userId,
  name: "Script",
  scopes: ["account"],
  secretHash: Buffer.from(String(++count)),
  createdAt: NOW,
  expiresAt: null,
  lastUsedAt: null,
});

/** Somebody with a session, an API token and a mailed reset token. */
async function buildPerson() {
  const [userId, sessionId, resetId] = [uuidv7(), uuidv7(), uuidv7()];
  const email = `${userId}@example.test`;
  await createUserRepository(db.database).insert({
    id: userId,
    email,
    passwordHash: HASH,
    name: "Ada",
    role: "user",
    timeZone: "UTC",
    locale: "en",
    emailVerified: true,
    disabledAt: null,
    createdAt: NOW,
  });
  await createSessionRepository(db.database).insertFor(
    {
      id: sessionId,
      userId,
      refreshCounter: 0,
      refreshedAt: NOW,
      lastUsedAt: NOW,
      createdAt: NOW,
      endedAt: null,
      address: null,
      userAgent: null,
    },
    HASH,
    100,
  );
  await query(
    db.url,
    `INSERT INTO auth.mailed_tokens (id, user_id, purpose, email, created_at, expires_at)
     VALUES ($1, $2, 'reset_password', $3, $4, $4::timestamptz + interval '30 minutes')`,
    [resetId, userId, email, NOW],
  );
  const tokens = createApiTokenRepository(db.database);
  expect(await tokens.insertFor(sessionId, buildToken(userId), 100)).toBe("inserted");
  return { userId, sessionId, resetId };
}

/** As two replicas do it. */
const insertFor = (sessionId: string, userId: string) =>
  createApiTokenRepository(db.database).insertFor(sessionId, buildToken(userId), 100);
const reset = (resetId: string) =>
  createMailedTokenRepository(db.connect()).setPassword(resetId, "$2b$04$new", NOW);

const tokensOf = (userId: string) =>
  query(db.url, "SELECT id FROM auth.api_tokens WHERE user_id = $1", [userId]);

test("line 21: no API token outlives a reset that comes while a session makes more", async () => {
  for (let round = 0; round < 10; round++) {
    const person = await buildPerson();
    const makes = () => insertFor(person.sessionId, person.userId);
    const [done] = await Promise.all([reset(person.resetId), makes(), makes(), makes(), makes()]);
    expect(done).toBe(person.userId);
    expect(await tokensOf(person.userId)).toEqual([]);
    expect(await makes()).toBe("not allowed");
  }
});

test("nobody who is disabled makes one, nor by somebody else's session", async () => {
  const [ada, bob] = [await buildPerson(), await buildPerson()];
  expect(await insertFor(bob.sessionId, ada.userId)).toBe("not allowed");
  await query(db.url, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [ada.userId]);
  expect(await insertFor(ada.sessionId, ada.userId)).toBe("not allowed");
  expect(await insertFor(bob.sessionId, bob.userId)).toBe("inserted");
  expect(await tokensOf(ada.userId)).toHaveLength(1);
});
