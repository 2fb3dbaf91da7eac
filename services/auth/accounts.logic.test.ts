import {
  CLIENT,
  findSession,
  findUser,
  identityOf,
  NOW,
  quickPasswords,
  recordAudit,
  recordThrottle,
  storeSession,
  storeUser,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createAccountLogic } from "./accounts.logic.ts";
import { createEraser, type Eraser } from "./erasures.logic.ts";
import { createErasureRepository, type Erasure } from "./erasures.repository.ts";
import { createUserRepository } from "./users.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

const NOBODY = "01a202a9-7840-7b21-8f3e-6c5d4b3a2918";
const gone = { type: "invalid_token", message: "The account does not exist any more." };

function build({
  whileHashing = async () => {},
  whileErasing = async () => {},
  eraser,
}: {
  whileHashing?: () => Promise<unknown>;
  whileErasing?: () => Promise<unknown>;
  eraser?: Pick<Eraser, "erase">;
} = {}) {
  const chosen: unknown[] = [];
  const { audit, audited } = recordAudit();
  const { throttle, asked } = recordThrottle();
  const erased: Erasure[] = [];
  let woken = 0;
  const logic = createAccountLogic({
    users: createUserRepository(db.database),
    erasures: createErasureRepository(db.database),
    eraser: eraser ?? {
      async erase(erasure) {
        await whileErasing();
        erased.push(erasure);
      },
    },
    passwords: quickPasswords({
      async choose(password, who) {
        chosen.push([password, who]);
        await whileHashing();
        return `hash of ${password}`;
      },
    }),
    wakeOutbox: () => {
      woken += 1;
    },
    throttle,
    audit,
    clock: () => NOW,
  });
  return { logic, audited, asked, erased, chosen, timesWoken: () => woken };
}

describe("registering", () => {
  const input = (email: string) => ({ email, password: "right", name: "Åsa" });

  it("makes an account that may do little yet, and asks for a mail that verifies the address", async () => {
    const { logic, audited, chosen, timesWoken } = build();
    const user = await logic.register(input("asa@example.test"), CLIENT);

    expect(user).toEqual({
      id: expect.any(String),
      email: "asa@example.test",
      emailVerified: false,
      name: "Åsa",
      role: "user",
      timeZone: "UTC",
      locale: "en",
      createdAt: "2026-11-22T10:00:00.000Z",
    });
    expect(await findUser(db.database, user.id)).toEqual({
      ...user,
      createdAt: new Date(NOW),
      passwordHash: "hash of right",
      disabledAt: null,
    });
    const [mails] = await db.database.query("SELECT purpose, email, client FROM auth.mails");
    expect(mails).toEqual([{ purpose: "verify_email", email: "asa@example.test", client: CLIENT }]);
    expect(timesWoken()).toBe(1);
    expect(chosen).toEqual([["right", { email: "asa@example.test", field: "password" }]]);
    expect(audited).toEqual([{ event: "register", result: "success", userId: user.id, client: CLIENT }]);
  });

  it("twice with one address is refused, and noted nowhere", async () => {
    const { email } = await storeUser(db.database);
    const { logic, audited, timesWoken } = build();
    await expect(logic.register(input(email), CLIENT)).rejects.toMatchObject({
      type: "email_taken",
      message: "There is an account with this e-mail address already.",
    });
    expect({ audited, woken: timesWoken() }).toEqual({ audited: [], woken: 0 });
    const mails = await db.database.query("SELECT FROM auth.mails WHERE email = $1", { bind: [email] });
    expect(mails[0]).toEqual([]);
  });
});

describe("an account", () => {
  it("is shown without its password's hash", async () => {
    const {
      passwordHash: _,
      disabledAt: __,
      ...user
    } = await storeUser(db.database, { emailVerified: true });
    const shown = await build().logic.me(user.id);
    expect(shown).toEqual({ ...user, createdAt: "2026-11-22T10:00:00.000Z" });
  });

  it("changes by what was given; by nothing, it stays", async () => {
    const user = await storeUser(db.database);
    const { logic } = build();
    expect(await logic.update(user.id, { name: "Grace", locale: "ru" })).toMatchObject({
      name: "Grace",
      locale: "ru",
      timeZone: "UTC",
    });
    expect(await logic.update(user.id, {})).toMatchObject({ name: "Grace" });
    expect(await findUser(db.database, user.id)).toEqual({ ...user, name: "Grace", locale: "ru" });
  });

  it("that is gone answers nothing any more, whatever is asked", async () => {
    const { logic, audited } = build();
    const caller = identityOf({ userId: NOBODY, id: NOBODY });
    await expect(logic.me(NOBODY)).rejects.toMatchObject(gone);
    await expect(logic.update(NOBODY, { name: "Eve" })).rejects.toMatchObject(gone);
    await expect(logic.update(NOBODY, {})).rejects.toMatchObject(gone);
    await expect(logic.remove(caller, "right")).rejects.toMatchObject(gone);
    const change = { currentPassword: "right", newPassword: "new" };
    await expect(logic.changePassword(caller, change)).rejects.toMatchObject(gone);
    expect(audited).toEqual([]);
  });
});

describe("changing the password", () => {
  it("ends all sessions but this one", async () => {
    const session = await storeSession(db.database);
    const other = await storeSession(db.database, { userId: session.userId });
    const { logic, audited, asked, chosen } = build();
    const caller = identityOf(session);
    expect(
      await logic.changePassword(caller, { currentPassword: "right", newPassword: "another" }),
    ).toBeNull();

    const user = await findUser(db.database, session.userId);
    expect(user?.passwordHash).toBe("hash of another");
    expect(await findSession(db.database, session.id)).toEqual(session);
    expect(await findSession(db.database, other.id)).toEqual({ ...other, endedAt: new Date(NOW) });
    const who = { userId: session.userId, sessionId: session.id };
    expect(audited).toEqual([{ event: "password_change", result: "success", ...who }]);
    expect(asked).toEqual([who]);
    expect(chosen).toEqual([["another", { email: user?.email, field: "newPassword" }]]);
  });

  it("needs the current one", async () => {
    const session = await storeSession(db.database);
    const other = await storeSession(db.database, { userId: session.userId });
    const { logic, audited, chosen } = build();
    const change = { currentPassword: "wrong", newPassword: "another" };
    await expect(logic.changePassword(identityOf(session), change)).rejects.toMatchObject({
      type: "wrong_password",
      message: "The current password is wrong.",
    });
    expect((await findUser(db.database, session.userId))?.passwordHash).toBe("hash of right");
    expect(await findSession(db.database, other.id)).toEqual(other);
    expect(chosen).toEqual([]);
    expect(audited).toEqual([
      { event: "password_change", result: "failure", userId: session.userId, sessionId: session.id },
    ]);
  });
});

it("a password that was reset while it was being changed stays as it was reset", async () => {
  const session = await storeSession(db.database);
  const owner = createUserRepository(db.database);
  const { logic, audited } = build({
    whileHashing: () => owner.update(session.userId, { passwordHash: "hash of the owner's" }),
  });
  const change = { currentPassword: "right", newPassword: "another" };
  await expect(logic.changePassword(identityOf(session), change)).rejects.toMatchObject({
    type: "wrong_password",
  });
  expect((await findUser(db.database, session.userId))?.passwordHash).toBe("hash of the owner's");
  expect(audited).toMatchObject([{ event: "password_change", result: "failure" }]);
});

describe("deleting an account", () => {
  it("needs its password", async () => {
    const session = await storeSession(db.database);
    const { logic, audited, erased } = build();
    await expect(logic.remove(identityOf(session), "wrong")).rejects.toMatchObject({
      type: "wrong_password",
      message: "The password is wrong.",
    });
    expect(await findUser(db.database, session.userId)).toBeDefined();
    const seen = { userId: session.userId, sessionId: session.id };
    expect({ audited, erased }).toEqual({
      audited: [{ event: "account_delete", result: "failure", ...seen }],
      erased: [],
    });
  });

  it("is nothing for the last administrator", async () => {
    const admin = await storeUser(db.database, { role: "admin" });
    const session = await storeSession(db.database, { userId: admin.id });
    const { logic, audited, erased } = build();
    await expect(logic.remove(identityOf(session), "right")).rejects.toMatchObject({
      type: "last_admin",
      message: "Make somebody else an administrator first.",
    });
    expect(await findUser(db.database, admin.id)).toEqual(admin);
    expect({ audited, erased }).toEqual({ audited: [], erased: [] });
  });

  it("removes it at once and has it erased everywhere", async () => {
    const session = await storeSession(db.database);
    const { logic, audited, asked, erased } = build();
    const { userId } = session;
    expect(await logic.remove(identityOf(session), "right")).toBeNull();
    expect(await findUser(db.database, userId)).toBeUndefined();
    expect(await findSession(db.database, session.id)).toBeUndefined();
    expect(erased).toEqual([{ userId, requestedAt: new Date(NOW) }]);
    expect(asked).toEqual([{ userId, sessionId: session.id }]);
    expect(audited).toEqual([{ event: "account_delete", result: "success", userId, sessionId: session.id }]);
  });

  it("has removed it also when its erasure elsewhere can't be written down, which is told", async () => {
    const session = await storeSession(db.database);
    const told: unknown[] = [];
    const erasures = createErasureRepository(db.database);
    const eraser = createEraser({
      erasures: { ...erasures, erasedOnce: () => Promise.reject(new Error("no database")) },
      services: ["tasks"],
      eraseIn: async () => {},
      onError: (error) => told.push(String(error)),
      clock: () => NOW,
    });
    const { logic } = build({ eraser });
    expect(await logic.remove(identityOf(session), "right")).toBeNull();
    expect(await findUser(db.database, session.userId)).toBeUndefined();
    expect(told).toEqual(["Error: no database"]);
  });

  it("has removed it, within about a second, also when its erasure elsewhere takes long", async () => {
    const session = await storeSession(db.database);
    const { logic } = build({ whileErasing: () => new Promise(() => {}) });
    const startedAt = performance.now();
    expect(await logic.remove(identityOf(session), "right")).toBeNull();
    expect(performance.now() - startedAt).toBeLessThan(2_000);
    expect(await findUser(db.database, session.userId)).toBeUndefined();
  });
});
