import { v7 as uuidv7 } from "uuid";
import { NOW, storeApiToken, storeUser } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createApiTokenRepository } from "./api-tokens.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

const tokens = () => createApiTokenRepository(db.database);

describe("whose an API token is", () => {
  it("is known with all that its use needs", async () => {
    const user = await storeUser(db.database, { role: "admin", timeZone: "Asia/Tokyo" });
    const expiresAt = new Date(NOW + 5);
    const token = await storeApiToken(db.database, { userId: user.id, expiresAt });
    await storeApiToken(db.database);
    expect(await tokens().findOwner(token.id)).toEqual({
      id: user.id,
      email: user.email,
      role: "admin",
      timeZone: "Asia/Tokyo",
      scopes: token.scopes,
      secretHash: token.secretHash,
      expiresAt,
      lastUsedAt: new Date(0),
    });
  });

  it("is nobody when they are disabled, or there is none", async () => {
    const { id: userId } = await storeUser(db.database, { disabledAt: new Date(NOW) });
    const { id } = await storeApiToken(db.database, { userId });
    expect([await tokens().findOwner(id), await tokens().findOwner(uuidv7())]).toEqual([null, null]);
  });

  it("is told with when it was used last", async () => {
    const [token, other] = [await storeApiToken(db.database), await storeApiToken(db.database)];
    await tokens().touch(token.id, new Date(NOW + 5));
    expect((await tokens().findOwner(token.id))?.lastUsedAt).toEqual(new Date(NOW + 5));
    expect((await tokens().findOwner(other.id))?.lastUsedAt).toEqual(new Date(0));
  });
});
