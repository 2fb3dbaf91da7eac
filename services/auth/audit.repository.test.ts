import { v7 as uuidv7 } from "uuid";
import { NOW } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { nodes, plansOf } from "../../tests/support/plans.ts";
import { type AuditFilter, createAuditRepository } from "./audit.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

it("events of one millisecond are listed in their order", async () => {
  const events = createAuditRepository(db.database);
  const at = new Date(NOW + 60_000);
  for (const detail of ["a", "b", "c"])
    await events.insert({ event: "refresh", result: "success", detail: { detail } }, at);
  const listed = await events.list({ event: "refresh", limit: 5 });
  expect(listed.map(({ detail }) => detail.detail)).toEqual(["c", "b", "a"]);
});

it("events are listed the newest first by their time, page by page, whatever clock a replica's machine has", async () => {
  const events = createAuditRepository(db.database);
  const seconds = [3, 1, 5, 2, 4];
  for (const each of seconds)
    await events.insert({ event: "login", result: "success" }, new Date(NOW + each * 1_000));
  const page = async (before?: string) => {
    const rows = await events.list({ event: "login", limit: 2, ...(before === undefined ? {} : { before }) });
    return { last: rows.at(-1)?.id, at: rows.map(({ at }) => (at.getTime() - NOW) / 1_000) };
  };
  const first = await page();
  const second = await page(first.last);
  const third = await page(second.last);
  expect([first.at, second.at, third.at]).toEqual([[5, 4], [3, 2], [1]]);
});

test.each<[string, Omit<AuditFilter, "limit">, RegExp]>([
  ["a rare event", { event: "refresh_reuse" }, /event = 'refresh_reuse'/],
  ["one of many people", { userId: uuidv7() }, /user_id = /],
])("events of %s are found without reading the others", async (_, filter, condition) => {
  await db.database.query(
    `INSERT INTO auth.audit_events (id, user_id, at, event, result, detail)
     SELECT gen_random_uuid(), gen_random_uuid(), now(), 'login', 'success', '{}' FROM generate_series(1, 5000)`,
  );
  await db.database.query("ANALYZE auth.audit_events");
  const plans = await plansOf(db.url, () =>
    createAuditRepository(db.database).list({ ...filter, before: uuidv7(), limit: 20 }),
  );
  const [read] = plans.flatMap(nodes).filter((node) => "Relation Name" in node || "Index Cond" in node);
  expect(read).toMatchObject({ "Index Cond": expect.stringMatching(condition) });
});
