import { v7 as uuidv7 } from "uuid";
import {
  findSession,
  findUser,
  NOW,
  storeMailedToken,
  storeSession,
  storeUser,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createMailedTokenRepository } from "./mailed-tokens.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

const at = (ms: number) => new Date(NOW + ms);
const tokens = () => createMailedTokenRepository(db.database);

/** A person with a token that was mailed to the address they have. */
async function mailed(fields: Parameters<typeof storeMailedToken>[1] = {}, user = {}) {
  const { id: userId, email } = await storeUser(db.database, user);
  return storeMailedToken(db.database, { userId, email, ...fields });
}

describe("a mailed token", () => {
  it("comes back as it was stored; another is null", async () => {
    const token = await mailed();
    expect(await tokens().find(token.id)).toEqual(token);
    expect(await tokens().find(uuidv7())).toBeNull();
  });
});

describe("setting a password by a token", () => {
  it("ends all of the person's sessions and other resets, and nobody else's", async () => {
    const token = await mailed();
    const { userId, email } = token;
    const ended = await storeSession(db.database, { userId, endedAt: at(-9) });
    const session = await storeSession(db.database, { userId });
    const reset = await storeMailedToken(db.database, { userId });
    const used = await storeMailedToken(db.database, { userId, usedAt: at(-9) });
    const verification = await storeMailedToken(db.database, { userId, purpose: "verify_email" });
    const [stranger, strangers] = [await storeSession(db.database), await mailed()];

    expect(await tokens().setPassword(token.id, "hash of new", at(5))).toBe(userId);
    expect(await findUser(db.database, userId)).toMatchObject({ passwordHash: "hash of new", email });
    expect(await findSession(db.database, session.id)).toEqual({ ...session, endedAt: at(5) });
    expect(await findSession(db.database, ended.id)).toEqual(ended);
    for (const each of [token, reset])
      expect(await tokens().find(each.id)).toEqual({ ...each, usedAt: at(5) });
    for (const each of [used, verification, strangers]) expect(await tokens().find(each.id)).toEqual(each);
    expect(await findSession(db.database, stranger.id)).toEqual(stranger);
    expect((await findUser(db.database, stranger.userId))?.passwordHash).toBe("hash of right");
  });

  it.each([
    ["the address it was mailed to is verified by that", {}, false, true],
    ["another address is not", { email: "before@example.test" }, false, false],
    ["an address that is verified stays so", { email: "before@example.test" }, true, true],
  ])("%s", async (_name, fields, emailVerified, after) => {
    const token = await mailed(fields, { emailVerified });
    await tokens().setPassword(token.id, "hash of new", at(0));
    expect((await findUser(db.database, token.userId))?.emailVerified).toBe(after);
  });

  it("works once, also when two of one person come at once", async () => {
    const first = await mailed();
    const second = await storeMailedToken(db.database, { userId: first.userId });
    const results = await Promise.all(
      [first, second, first].map(({ id }) => tokens().setPassword(id, "hash of new", at(0))),
    );
    expect(results.filter((userId) => userId !== null)).toEqual([first.userId]);
  });

  it.each([
    ["that has expired", { expiresAt: at(0) }, {}],
    ["that was used", { usedAt: at(-1) }, {}],
    ["of another kind", { purpose: "verify_email" as const }, {}],
    ["of somebody who is disabled", {}, { disabledAt: at(-1) }],
  ])("changes nothing by one %s", async (_name, fields, user) => {
    const token = await mailed(fields, user);
    const session = await storeSession(db.database, { userId: token.userId });
    expect(await tokens().setPassword(token.id, "hash of new", at(0))).toBeNull();
    expect(await tokens().find(token.id)).toEqual(token);
    expect((await findUser(db.database, token.userId))?.passwordHash).toBe("hash of right");
    expect(await findSession(db.database, session.id)).toEqual(session);
  });

  it("changes nothing by one that is not there", async () => {
    expect(await tokens().setPassword(uuidv7(), "hash of new", at(0))).toBeNull();
  });

  it("changes nothing when something in it fails", async () => {
    const token = await mailed();
    await storeSession(db.database, { userId: token.userId, userAgent: "endless" });
    await db.database.query(
      `ALTER TABLE auth.sessions DROP CONSTRAINT IF EXISTS endless,
         ADD CONSTRAINT endless CHECK (user_agent <> 'endless' OR ended_at IS NULL)`,
    );
    await expect(tokens().setPassword(token.id, "hash of new", at(0))).rejects.toThrow("endless");
    expect(await tokens().find(token.id)).toEqual(token);
    expect((await findUser(db.database, token.userId))?.passwordHash).toBe("hash of right");
  });
});

it("tokens are used by one connection, in one transaction", async () => {
  const alone = createMailedTokenRepository(db.connect({ max: 1 }));
  const [reset, verification] = [await mailed(), await mailed({ purpose: "verify_email" })];
  await storeSession(db.database, { userId: reset.userId });
  expect(await alone.setPassword(reset.id, "hash of new", at(0))).toBe(reset.userId);
  expect(await alone.verifyEmail(verification.id, at(0))).toBe(verification.userId);
});

describe("verifying an address by a token", () => {
  const purpose = "verify_email" as const;

  it("works once, for its person only", async () => {
    const [token, other] = [await mailed({ purpose }), await mailed({ purpose })];
    expect(await tokens().verifyEmail(token.id, at(5))).toBe(token.userId);
    expect(await tokens().verifyEmail(token.id, at(5))).toBeNull();
    expect(await tokens().find(token.id)).toEqual({ ...token, usedAt: at(5) });
    expect((await findUser(db.database, token.userId))?.emailVerified).toBe(true);
    expect((await findUser(db.database, other.userId))?.emailVerified).toBe(false);
  });

  it.each([
    ["that has expired", { purpose, expiresAt: at(0) }],
    ["that was used", { purpose, usedAt: at(-1) }],
    ["of another kind", {}],
    ["to an address that they no longer have", { purpose, email: "before@example.test" }],
  ])("does not work by one %s", async (_name, fields) => {
    const token = await mailed(fields);
    expect(await tokens().verifyEmail(token.id, at(0))).toBeNull();
    expect((await findUser(db.database, token.userId))?.emailVerified).toBe(false);
  });
});
