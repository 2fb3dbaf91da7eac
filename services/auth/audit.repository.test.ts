import { NOW } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createAuditRepository } from "./audit.repository.ts";

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
