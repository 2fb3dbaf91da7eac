import { v7 as uuidv7 } from "uuid";
import { findUser, NOW, storeUser } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { requestMail } from "./recovery.logic.ts";
import { createUserRepository, type UserRepository, type UserRow } from "./users.repository.ts";

let db: MigratedDatabase;
let users: UserRepository;

beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());
beforeEach(async () => {
  users = createUserRepository(db.database);
  await db.database.query("DELETE FROM auth.users");
});

const at = new Date(NOW);

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
    createdAt: at,
    ...fields,
  };
};

describe("users", () => {
  it("come back as they were stored, by id and by address", async () => {
    const user = buildUser({ name: "Åsa 🌱", disabledAt: at });
    expect(await users.insert(user)).toBe(true);
    await storeUser(db.database);

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

  it("are stored with the mail to them, both or neither", async () => {
    const mails = async (email: string) =>
      (await db.database.query("SELECT id FROM auth.mails WHERE email = $1", { bind: [email] }))[0];
    const [ada, ben] = [buildUser(), buildUser()];
    const mail = requestMail("verify_email", ada.email, {}, at);
    expect(await users.insert(ada, mail)).toBe(true);
    expect(await mails(ada.email)).toEqual([{ id: mail.id }]);

    const again = requestMail("verify_email", ada.email, {}, at);
    expect(await users.insert(buildUser({ email: ada.email }), again)).toBe(false);
    expect(await mails(ada.email)).toEqual([{ id: mail.id }]);
    const unstorable = { ...again, requestedAt: new Date(Number.NaN) };
    await expect(users.insert(ben, unstorable)).rejects.toThrow("Invalid date");
    expect(await users.find(ben.id)).toBeNull();
  });

  it("that are not there are null, also to a change", async () => {
    const nobody = uuidv7();

    expect(await users.find(nobody)).toBeNull();
    expect(await users.findByEmail("nobody@example.test")).toBeNull();
    expect(await users.update(nobody, { name: "Eve" })).toBeNull();
    expect(await users.changeAccess(nobody, { role: "admin" })).toBeNull();
    expect(await users.changeAccess(nobody, {})).toBeNull();
  });

  it("change alone", async () => {
    const [ada, ben] = [await storeUser(db.database), await storeUser(db.database)];

    expect(await users.update(ada.id, { timeZone: "Asia/Tokyo" })).toEqual({
      ...ada,
      timeZone: "Asia/Tokyo",
    });
    expect(await users.find(ben.id)).toEqual(ben);
  });

  it("take an address for text, whatever it holds", async () => {
    await storeUser(db.database);
    for (const email of ["%", "_", "' OR 1=1 --", "{}", "\\"])
      expect(await users.findByEmail(email)).toBeNull();
  });
});

it("storing users and changing their access take one connection, which is in one transaction", async () => {
  const alone = createUserRepository(db.connect({ max: 1 }));
  const user = buildUser();
  expect(await alone.insert(user, requestMail("verify_email", user.email, {}, at))).toBe(true);
  expect(await alone.changeAccess(user.id, { role: "admin" })).toMatchObject({ role: "admin" });
  expect(await alone.changeAccess(user.id, {})).toMatchObject({ role: "admin" });
});

describe("a hash", () => {
  it("is replaced unless the password was changed meanwhile, and nobody else's is", async () => {
    const [ada, ben] = [await storeUser(db.database), await storeUser(db.database)];
    await users.replaceHash(ada.id, { from: "another", to: "new" });
    expect(await findUser(db.database, ada.id)).toEqual(ada);
    await users.replaceHash(ada.id, { from: ada.passwordHash, to: "new" });
    expect(await findUser(db.database, ada.id)).toEqual({ ...ada, passwordHash: "new" });
    expect(await findUser(db.database, ben.id)).toEqual(ben);
  });

  it("of the highest cost is found, among all kinds; 0 when there are none", async () => {
    expect(await users.findHighestHashCost()).toBe(0);
    for (const passwordHash of ["$2b$04$x", "$2a$13$x", "$2y$09$x", "no hash $2b$16$x"])
      await storeUser(db.database, { passwordHash });
    expect(await users.findHighestHashCost()).toBe(13);
  });
});

describe("a list of users", () => {
  const names = async (filter: { search?: string; after?: string; limit?: number } = {}) =>
    (await users.list({ limit: 9, ...filter })).map(({ name }) => name);

  it("is in the order they registered, after the given one, and no longer than asked for", async () => {
    const stored = [];
    for (const name of ["c", "a", "b"]) stored.push(await storeUser(db.database, { name }));
    expect(await users.list({ limit: 9 })).toEqual(stored);
    expect(await names({ limit: 2 })).toEqual(["c", "a"]);
    expect(await names({ after: stored[0]?.id ?? "" })).toEqual(["a", "b"]);
  });

  it("is of those with the words in their name or address, in whatever case", async () => {
    await storeUser(db.database, { name: "Åsa Öberg", email: "asa@example.test" });
    await storeUser(db.database, { name: "Ben", email: "ben@öberg.test" });
    await storeUser(db.database, { name: "Cid", email: "cid@example.test" });
    expect(await names({ search: "ÖBER" })).toEqual(["Åsa Öberg", "Ben"]);
    expect(await names({ search: "sa ö" })).toEqual(["Åsa Öberg"]);
    expect(await names({ search: "d@EX" })).toEqual(["Cid"]);
    expect(await names({ search: "dora" })).toEqual([]);
  });

  it("takes every character as it is", async () => {
    const all = ["50%", "a_b", "back\\slash", "plain"];
    for (const name of all) await storeUser(db.database, { name });
    expect(await names({ search: "%" })).toEqual(["50%"]);
    // Every address here has no underscore.
    expect(await names({ search: "_" })).toEqual(["a_b"]);
    expect(await names({ search: "\\" })).toEqual(["back\\slash"]);
    expect(await names({ search: "" })).toEqual(all);
  });
});

describe("access", () => {
  it("is changed of one person alone", async () => {
    await storeUser(db.database, { role: "admin" });
    const [ada, ben] = [await storeUser(db.database), await storeUser(db.database)];
    const changed = { ...ada, role: "admin", disabledAt: at };
    expect(await users.changeAccess(ada.id, { role: "admin", disabledAt: at })).toEqual(changed);
    expect(await users.changeAccess(ada.id, {})).toEqual(changed);
    expect(await findUser(db.database, ada.id)).toEqual(changed);
    expect(await findUser(db.database, ben.id)).toEqual(ben);
  });

  it.each<[string, Parameters<UserRepository["changeAccess"]>[1], unknown]>([
    ["can't lose the role", { role: "user" }, "last_admin"],
    ["can't be disabled", { disabledAt: at }, "last_admin"],
    ["can't have both", { role: "admin", disabledAt: at }, "last_admin"],
    ["can keep the role", { role: "admin" }, { role: "admin" }],
    ["can be enabled again", { disabledAt: null }, { disabledAt: null }],
    ["can be left alone", {}, { role: "admin" }],
  ])("of the last administrator %s", async (_name, patch, outcome) => {
    const last = await storeUser(db.database, { role: "admin" });
    await storeUser(db.database, { role: "admin", disabledAt: at });
    await storeUser(db.database);
    const result = await users.changeAccess(last.id, patch);
    if (outcome === "last_admin") expect(result).toBe("last_admin");
    else expect(result).toMatchObject({ id: last.id, ...Object(outcome) });
    expect(await findUser(db.database, last.id)).toEqual(last);
  });

  it("of somebody else can be taken while there is one administrator", async () => {
    await storeUser(db.database, { role: "admin" });
    const disabled = await storeUser(db.database, { role: "admin", disabledAt: at });
    const user = await storeUser(db.database);
    expect(await users.changeAccess(disabled.id, { role: "user" })).toMatchObject({ role: "user" });
    expect(await users.changeAccess(user.id, { disabledAt: at })).toMatchObject({ disabledAt: at });
  });

  it("of one of two administrators can be taken", async () => {
    const [ada] = [
      await storeUser(db.database, { role: "admin" }),
      await storeUser(db.database, { role: "admin" }),
    ];
    expect(await users.changeAccess(ada.id, { role: "user" })).toMatchObject({ role: "user" });
  });

  it("of two administrators who take it from each other at once is left to one", async () => {
    const both = [
      await storeUser(db.database, { role: "admin" }),
      await storeUser(db.database, { role: "admin" }),
    ];
    const replicas = [users, createUserRepository(db.connect())];
    for (let round = 0; round < 5; round++) {
      const results = await Promise.all(
        both.map(({ id }, index) => replicas[index]?.changeAccess(id, { role: "user" })),
      );
      expect(results.filter((result) => result === "last_admin")).toHaveLength(1);
      for (const { id } of both) await users.model.update({ role: "admin" }, { where: { id } });
    }
  });
});
