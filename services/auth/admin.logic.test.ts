import { v7 as uuidv7 } from "uuid";
import {
  CLIENT,
  findUser,
  identityOf,
  NOW,
  recordAudit,
  storeUser,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { toUserView } from "./accounts.logic.ts";
import { createAdminLogic } from "./admin.logic.ts";
import { createAudit } from "./audit.logic.ts";
import { createAuditRepository } from "./audit.repository.ts";
import { createUserRepository } from "./users.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());
// Lists are of everybody and everything.
beforeEach(async () => {
  await db.database.query("DELETE FROM auth.users");
  await db.database.query("DELETE FROM auth.audit_events");
});

const ADMIN = uuidv7();
const caller = identityOf({ userId: ADMIN, id: uuidv7() });

function build() {
  const { audit, audited } = recordAudit();
  const auditEvents = createAuditRepository(db.database);
  const logic = createAdminLogic({
    users: createUserRepository(db.database),
    auditEvents,
    audit,
    clock: () => NOW,
  });
  return { logic, audited, auditEvents };
}

describe("the list of people", () => {
  it("shows who is disabled, and no hash", async () => {
    const user = await storeUser(db.database);
    const disabled = await storeUser(db.database, { disabledAt: new Date(NOW) });
    expect(await build().logic.listUsers({ limit: 2 })).toEqual({
      items: [
        { ...toUserView(user), disabled: false },
        { ...toUserView(disabled), disabled: true },
      ],
      nextCursor: null,
    });
  });

  it("goes on where the page before ended, to an end", async () => {
    const ids = [];
    for (let n = 0; n < 5; n++) ids.push((await storeUser(db.database)).id);
    const { logic } = build();
    const pages = [];
    let cursor: string | null = null;
    do {
      const page: Awaited<ReturnType<typeof logic.listUsers>> = await logic.listUsers({
        limit: 2,
        ...(cursor === null ? {} : { cursor }),
      });
      pages.push(page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    } while (cursor !== null);
    expect(pages).toEqual([ids.slice(0, 2), ids.slice(2, 4), ids.slice(4)]);
  });

  it("that is empty has no next page", async () => {
    expect(await build().logic.listUsers({ limit: 1 })).toEqual({ items: [], nextCursor: null });
  });

  it("can be searched", async () => {
    await storeUser(db.database);
    const grace = await storeUser(db.database, { name: "Grace" });
    const { items } = await build().logic.listUsers({ search: "grac", limit: 9 });
    expect(items.map(({ id }) => id)).toEqual([grace.id]);
  });
});

describe("an administrator", () => {
  it("disables and enables, and it is noted who did", async () => {
    const user = await storeUser(db.database);
    const { logic, audited } = build();
    expect(await logic.changeUser(caller, user.id, { disabled: true })).toEqual({
      ...toUserView(user),
      disabled: true,
    });
    expect((await findUser(db.database, user.id))?.disabledAt).toEqual(new Date(NOW));
    expect(await logic.changeUser(caller, user.id, { disabled: false })).toMatchObject({ disabled: false });
    expect(await findUser(db.database, user.id)).toEqual(user);
    const by = {
      result: "success",
      userId: user.id,
      sessionId: caller.sessionId,
      detail: { by: ADMIN },
    };
    expect(audited).toEqual([
      { event: "user_disable", ...by },
      { event: "user_enable", ...by },
    ]);
  });

  it("gives and takes the role, and it is noted who did", async () => {
    await storeUser(db.database, { role: "admin" });
    const user = await storeUser(db.database);
    const { logic, audited } = build();
    expect(await logic.changeUser(caller, user.id, { role: "admin" })).toMatchObject({ role: "admin" });
    expect((await findUser(db.database, user.id))?.role).toBe("admin");
    expect(await logic.changeUser(caller, user.id, { role: "user" })).toMatchObject({ role: "user" });
    const noted = (role: string) => ({
      event: "role_change",
      result: "success",
      userId: user.id,
      sessionId: caller.sessionId,
      detail: { by: ADMIN, role },
    });
    expect(audited).toEqual([noted("admin"), noted("user")]);
  });

  it("changes nobody by nothing", async () => {
    const user = await storeUser(db.database);
    const { logic, audited } = build();
    expect(await logic.changeUser(caller, user.id, {})).toEqual({ ...toUserView(user), disabled: false });
    expect(await findUser(db.database, user.id)).toEqual(user);
    expect(audited).toEqual([]);
  });

  it("can't change who is not there", async () => {
    const { logic, audited } = build();
    await expect(logic.changeUser(caller, uuidv7(), { disabled: true })).rejects.toMatchObject({
      type: "not_found",
      message: "There is no such user.",
    });
    expect(audited).toEqual([]);
  });

  it("is left, whatever they do to themselves", async () => {
    const last = await storeUser(db.database, { role: "admin" });
    await storeUser(db.database, { role: "admin", disabledAt: new Date(NOW) });
    const { logic, audited } = build();
    for (const patch of [{ role: "user" }, { disabled: true }, { role: "user", disabled: true }] as const)
      await expect(logic.changeUser(caller, last.id, patch)).rejects.toMatchObject({
        type: "last_admin",
        message: "Make somebody else an administrator first.",
      });
    expect(await findUser(db.database, last.id)).toEqual(last);
    expect(audited).toEqual([]);
    await logic.changeUser(caller, last.id, { role: "admin", disabled: false });
  });
});

describe("the audit log", () => {
  it("tells what happened, from where, the latest first and page by page", async () => {
    const { logic, auditEvents } = build();
    const logged: unknown[] = [];
    const audit = createAudit({ store: auditEvents, log: (entry) => logged.push(entry), clock: () => NOW });
    const [userId, sessionId] = [uuidv7(), uuidv7()];
    const entry = { event: "login", result: "success", userId, sessionId, client: CLIENT } as const;
    await audit(entry);
    await audit({ event: "register", result: "failure", detail: { reason: "why" } });

    const first = await logic.listAuditEvents({ limit: 1 });
    expect(first).toEqual({
      items: [
        {
          id: expect.any(String),
          at: "2026-11-22T10:00:00.000Z",
          event: "register",
          result: "failure",
          userId: null,
          sessionId: null,
          ip: null,
          userAgent: null,
          detail: { reason: "why" },
        },
      ],
      nextCursor: first.items[0]?.id,
    });
    const second = await logic.listAuditEvents({ limit: 1, cursor: first.nextCursor ?? "" });
    expect(second).toEqual({
      items: [
        {
          id: expect.any(String),
          at: "2026-11-22T10:00:00.000Z",
          event: "login",
          result: "success",
          userId,
          sessionId,
          ip: CLIENT.address,
          userAgent: CLIENT.userAgent,
          detail: {},
        },
      ],
      nextCursor: null,
    });
    expect(logged[0]).toBe(entry);
  });

  it("can be asked for one person's or one kind of events", async () => {
    const { logic, auditEvents } = build();
    const [ada, ben] = [uuidv7(), uuidv7()];
    for (const [event, userId] of [
      ["login", ada],
      ["logout", ada],
      ["login", ben],
    ] as const)
      await auditEvents.insert({ event, result: "success", userId }, new Date(NOW));
    const found = async (filter: { userId?: string; event?: string }) =>
      (await logic.listAuditEvents({ ...filter, limit: 9 })).items.map(({ event, userId }) => [
        event,
        userId,
      ]);
    expect(await found({ userId: ada })).toEqual([
      ["logout", ada],
      ["login", ada],
    ]);
    expect(await found({ event: "login" })).toEqual([
      ["login", ben],
      ["login", ada],
    ]);
    expect(await found({ event: "login", userId: ben })).toEqual([["login", ben]]);
  });
});
