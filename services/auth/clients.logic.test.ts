import jwt from "jsonwebtoken";
import { v7 as uuidv7 } from "uuid";
import { openAccessTokens } from "../../tests/support/access-tokens.ts";
import { NOW, recordAudit, storeUser } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createClient, createClientLogic } from "./clients.logic.ts";
import { createClientRepository } from "./clients.repository.ts";
import { createUserRepository } from "./users.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

async function build({ actsForUsers = true } = {}) {
  const { audit, audited } = recordAudit();
  const clients = createClientRepository(db.database);
  const users = createUserRepository(db.database);
  const logic = createClientLogic({ clients, users, accessTokens: await openAccessTokens(() => NOW), audit });
  const name = `reminders-${uuidv7()}`;
  const { client, secret } = createClient({ name, scopes: ["tasks:read"], actsForUsers }, NOW);
  expect(await clients.insert(client)).toBe(true);
  return { logic, audited, clients, client, credential: { client: name, secret } };
}

const claimsOf = ({ passport }: { passport: string }) => jwt.decode(passport, { json: true });

describe("a client", () => {
  it("is stored with the hash of a secret that no other has", async () => {
    const { clients, client, credential } = await build();
    expect(credential.secret).toMatch(/^tmc_[\w-]{43}$/);
    expect((await build()).credential.secret).not.toBe(credential.secret);
    expect(client.createdAt).toEqual(new Date(NOW));
    expect(await clients.find(client.name)).toEqual(client);
  });

  it("has a name of its own, and can be removed by it", async () => {
    const { clients, client } = await build();
    expect(await clients.insert({ ...client, id: uuidv7() })).toBe(false);
    await expect(clients.insert({ ...client, id: "no id", name: "other" })).rejects.toThrow("uuid");
    expect(await clients.remove(client.name)).toBe(true);
    expect(await clients.remove(client.name)).toBe(false);
    expect(await clients.find(client.name)).toBeNull();
  });

  it("is listed with all others by name", async () => {
    const { clients, client } = await build();
    await clients.insert({ ...client, id: uuidv7(), name: "a first one" });
    const names = (await clients.list()).map(({ name }) => name);
    expect(names).toContain(client.name);
    expect(names[0]).toBe("a first one");
  });
});

describe("a client's passport", () => {
  it("is the service's own when it is for nobody", async () => {
    const { logic, client, credential } = await build({ actsForUsers: false });
    const claims = claimsOf(await logic.passport(credential));
    expect(claims).toMatchObject({
      sub: client.id,
      role: "service",
      tz: "UTC",
      scope: "tasks:read",
      act: { sub: client.name },
    });
    expect(claims).not.toHaveProperty("sid");
  });

  it("for a person has the client's scopes, and never an administrator's role", async () => {
    const { logic, client, credential } = await build();
    const user = await storeUser(db.database, { role: "admin", timeZone: "Asia/Tokyo" });
    expect(claimsOf(await logic.passport({ ...credential, userId: user.id }))).toMatchObject({
      sub: user.id,
      role: "user",
      tz: "Asia/Tokyo",
      scope: "tasks:read",
      act: { sub: client.name },
    });
  });

  it("is another one for each person, and for itself", async () => {
    const { logic, client, credential } = await build();
    const ids = [(await storeUser(db.database)).id, (await storeUser(db.database)).id, undefined];
    const subjects = [];
    for (const userId of ids)
      subjects.push(
        claimsOf(await logic.passport({ ...credential, ...(userId === undefined ? {} : { userId }) }))?.sub,
      );
    expect(subjects).toEqual([ids[0], ids[1], client.id]);
  });

  it("needs the secret, and a failure is noted", async () => {
    const { logic, audited, credential } = await build();
    const other = await build();
    const secret = other.credential.secret;
    for (const wrong of [
      { ...credential, secret },
      { ...credential, client: "nobody" },
    ])
      await expect(logic.passport(wrong)).rejects.toMatchObject({
        type: "invalid_client",
        message: "There is no such client, or its secret is another.",
      });
    const failure = { event: "client_passport", result: "failure" };
    expect(audited).toEqual([
      { ...failure, detail: { client: credential.client } },
      { ...failure, detail: { client: "nobody" } },
    ]);
  });

  it("is for no person when the client may not act for people", async () => {
    const { logic, credential } = await build({ actsForUsers: false });
    const { id } = await storeUser(db.database);
    await expect(logic.passport({ ...credential, userId: id })).rejects.toMatchObject({
      type: "forbidden",
      message: "This client may not act for people.",
    });
  });

  it("is for nobody who is disabled or not there", async () => {
    const { logic, credential } = await build();
    const { id } = await storeUser(db.database, { disabledAt: new Date(NOW) });
    for (const userId of [id, uuidv7()])
      await expect(logic.passport({ ...credential, userId })).rejects.toMatchObject({
        type: "not_found",
        message: "There is no such person.",
      });
  });
});

describe("the people a client may act for", () => {
  it("come page by page in the order they registered, those who are disabled aside", async () => {
    await db.database.query("DELETE FROM auth.users");
    const people = [];
    for (const locale of ["en", "ru", "en"]) {
      people.push(await storeUser(db.database, { locale, timeZone: "Asia/Tokyo" }));
      await storeUser(db.database, { disabledAt: new Date(NOW) });
    }
    const { logic, client } = await build();
    const shown = people.map(({ id, timeZone, locale }) => ({ id, timeZone, locale }));
    const caller = { client: client.name };

    const first = await logic.people(caller, { limit: 2 });
    expect(first).toEqual({ items: shown.slice(0, 2), nextCursor: shown[1]?.id });
    const second = await logic.people(caller, { limit: 2, cursor: first.nextCursor ?? "" });
    expect(second).toEqual({ items: shown.slice(2), nextCursor: null });
    expect((await logic.people(caller, { limit: 1 })).nextCursor).toBe(shown[0]?.id);
    expect(await logic.people(caller, { limit: 3 })).toEqual({ items: shown, nextCursor: null });
    expect(await logic.people(caller, { limit: 3, cursor: shown[2]?.id ?? "" })).toEqual({
      items: [],
      nextCursor: null,
    });
  });

  it("are nobody's business but such a client's", async () => {
    const { logic, client } = await build({ actsForUsers: false });
    for (const name of [client.name, "nobody"])
      await expect(logic.people({ client: name }, { limit: 1 })).rejects.toMatchObject({
        type: "forbidden",
        message: "This client may not act for people.",
      });
  });

  it("are not told to somebody who is no client, though the first of all clients may know", async () => {
    await db.database.query("DELETE FROM auth.clients");
    const { logic } = await build();
    await expect(logic.people({ client: null }, { limit: 1 })).rejects.toMatchObject({ type: "forbidden" });
  });
});
