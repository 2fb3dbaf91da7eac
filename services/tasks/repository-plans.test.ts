import { v7 as uuidv7 } from "uuid";
import { query } from "../../tests/support/database.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { nodes, plansOf } from "../../tests/support/plans.ts";
import { createTaskRepository, type TaskRepository } from "./tasks.repository.ts";

/** Tasks of one person, and of each of many others. */
const MANY = 10_000;
const OTHERS = 500;
const EACH = 20;
const NOW = new Date("2026-11-22T10:00:00.000Z");

let db: MigratedDatabase;
let tasks: TaskRepository;
let ada: string;
let id: string;

beforeAll(async () => {
  db = await createMigratedDatabase();
  tasks = createTaskRepository(db.database);
  ada = uuidv7();
  const people = Array.from({ length: OTHERS }, () => uuidv7());
  // The log by its trigger; what is in the texts is of no matter here.
  await query(db.url, "ALTER TABLE tasks.tasks DISABLE TRIGGER add_task_texts");
  for (const [owners, count] of [
    [[ada], MANY],
    [people, EACH],
  ] as const) {
    await query(
      db.url,
      `INSERT INTO tasks.tasks
         (user_id, id, title, description, status, priority, tags, version, created_at, updated_at, deleted_at, operation)
       SELECT owner, gen_random_uuid(), 'Task ' || n, repeat('x', 200), 'open', 0, '{}', 1, now(), now(),
              CASE WHEN n % 10 = 0 THEN now() END, gen_random_uuid()
         FROM unnest($1::uuid[]) owner, generate_series(1, $2) n`,
      [owners, count],
    );
  }
  await query(
    db.url,
    `INSERT INTO tasks.answers SELECT user_id, 'key ' || seq, '\\x00', '{}', now() FROM tasks.task_changes`,
  );
  await query(db.url, "INSERT INTO tasks.task_texts SELECT user_id, id, '' FROM tasks.tasks");
  await query(db.url, "ANALYZE");
  const { changes } = await tasks.snapshot(ada, { after: null, upTo: null, limit: 1 });
  id = changes[0]?.taskId ?? "";
});
afterAll(() => db.drop());

const write = (patch: object) => () => tasks.write(ada, [{ id, patch }], { now: NOW, operation: uuidv7() });

describe("a statement about one person's tasks reads no table as a whole, and finds its rows by the person", () => {
  test.each<[string, () => Promise<unknown>]>([
    ["find", () => tasks.find(ada, id)],
    ["write", write({ title: "Changed" })],
    [
      "write, fifty at once",
      () =>
        tasks.write(
          ada,
          Array.from({ length: 50 }, () => ({ id: uuidv7(), patch: {} })),
          { now: NOW },
        ),
    ],
    ["listTrash", () => tasks.listTrash(ada, { after: null, limit: 21 })],
    [
      "listTrash, a later page",
      () => tasks.listTrash(ada, { after: { deletedAt: NOW.toISOString(), id }, limit: 21 }),
    ],
    ["changesAfter", () => tasks.changesAfter(ada, 5_000, 101)],
    ["snapshot", () => tasks.snapshot(ada, { after: null, upTo: null, limit: 101 })],
    ["snapshot, a later page", () => tasks.snapshot(ada, { after: id, upTo: 9_000, limit: 101 })],
    ["versions", () => tasks.versions(ada, id, { limit: 21 })],
    ["version", () => tasks.version(ada, id, 1)],
    ["repeated", () => tasks.repeated(ada, uuidv7())],
    ["findAnswer", () => tasks.findAnswer(ada, "key 1", NOW)],
    ["saveAnswer", () => tasks.saveAnswer(ada, uuidv7(), { request: Buffer.from("x"), answer: 1 }, NOW)],
    ["datesOutside", () => tasks.datesOutside(ada, "Asia/Tokyo", 1_000)],
    ["moveDates", () => tasks.moveDates(ada, "Asia/Tokyo", [{ id, dueOn: "2026-12-01", dueAt: NOW }])],
    // Of somebody who has nothing: what it finds it removes.
    ["removeSome", () => tasks.removeSome(uuidv7(), 500)],
    ["removeRest", () => tasks.removeRest(uuidv7())],
  ])("%s", async (_name, work) => {
    const plans = await plansOf(db.url, work);
    expect(plans.length).toBeGreaterThan(0);
    const read = plans
      .flatMap(nodes)
      .filter((node) => node["Node Type"].includes("Scan") && node["Relation Name"]);
    expect(read.map((node) => node["Node Type"]).filter((type) => type === "Seq Scan")).toEqual([]);
    for (const node of read.filter((each) => each["Index Cond"]))
      expect(node["Index Cond"]).toContain("user_id");
  });
});

describe("housekeeping finds what is old without reading everything", () => {
  test.each<[string, () => Promise<unknown>]>([
    ["the trash", () => tasks.eraseTrash({ before: new Date(0), limit: 500 })],
    ["one person's trash", () => tasks.eraseTrash({ userId: uuidv7(), limit: 500 })],
    ["answers", () => tasks.forgetAnswers(new Date(0), 500)],
    ["changes", () => tasks.compact(new Date(), 5)],
    ["texts", () => tasks.readTexts(5)],
  ])("%s", async (_name, work) => {
    const whole = (await plansOf(db.url, work))
      .flatMap(nodes)
      .filter((node) => node["Node Type"] === "Seq Scan");
    // Of one row, and of what is to be done.
    const small = ["compaction", "unread_texts"];
    expect(whole.filter((node) => !small.includes(node["Relation Name"] ?? ""))).toEqual([]);
  });
});
