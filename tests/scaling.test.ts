import { readFileSync } from "node:fs";
import { v7 as uuidv7 } from "uuid";
import { createTaskRepository } from "../services/tasks/tasks.repository.ts";
import { buildRow } from "../services/tasks/writes.logic.ts";
import { query } from "./support/database.ts";
import { createMigratedDatabase, type MigratedDatabase } from "./support/migrated-database.ts";

const TABLES = ["answers", "change_heads", "task_changes", "tasks"];
const NOW = new Date("2026-11-22T10:00:00Z");

/** The document's SQL, as somebody pastes it. */
const [recipe = ""] = /(?<=```sql\n)[\s\S]*?(?=```)/.exec(readFileSync("docs/scaling.md", "utf8")) ?? [];

let db: MigratedDatabase;
let tasks: ReturnType<typeof createTaskRepository>;
/** Before the partitions. */
let shapeBefore: unknown;
let early: { userId: string; id: string };

const sql = (text: string, ...values: unknown[]) => query(db.url, text, values);

/** What the migrations made of the tables: columns, checks, keys, indexes, triggers. */
async function shape(): Promise<unknown> {
  const [columns, constraints, indexes, triggers] = await Promise.all([
    sql(
      `SELECT table_name, column_name, data_type, column_default, is_nullable, datetime_precision
         FROM information_schema.columns WHERE table_schema = 'tasks' AND table_name = ANY($1) ORDER BY 1, 2`,
      TABLES,
    ),
    sql(
      `SELECT relname, conname, pg_get_constraintdef(k.oid) AS definition
         FROM pg_constraint k JOIN pg_class c ON c.oid = conrelid
        WHERE relnamespace = 'tasks'::regnamespace AND relname = ANY($1) AND contype IN ('c', 'p') ORDER BY 1, 2`,
      TABLES,
    ),
    sql(
      `SELECT indexname, replace(indexdef, ' ON ONLY ', ' ON ') AS definition
         FROM pg_indexes WHERE schemaname = 'tasks' AND tablename = ANY($1) ORDER BY 1`,
      TABLES,
    ),
    sql(
      // Conditions that are read again lose brackets that mean nothing.
      `SELECT tgname, translate(pg_get_triggerdef(t.oid), '()', '') AS definition FROM pg_trigger t JOIN pg_class c ON c.oid = tgrelid
        WHERE relnamespace = 'tasks'::regnamespace AND relname = ANY($1) AND NOT tgisinternal ORDER BY 1`,
      TABLES,
    ),
  ]);
  return { columns, constraints, indexes, triggers };
}

async function buildTask(userId: string, operation?: string) {
  const content = {
    title: "A",
    description: "",
    status: "open",
    priority: "none",
    due: null,
    tags: [],
  } as const;
  const row = buildRow({ userId, timeZone: "UTC" }, { ...content, tags: [] }, NOW);
  return { userId, id: row.id, inserted: await tasks.insert([row], operation) };
}

const logOf = async (userId: string, since = 0): Promise<string[]> =>
  (await tasks.changesAfter(userId, since, 100)).changes.map(
    ({ seq, op, version }) => `${seq} ${op} ${version}`,
  );

beforeAll(async () => {
  db = await createMigratedDatabase();
  tasks = createTaskRepository(db.database);
  early = await buildTask(uuidv7());
  for (let person = 0; person < 40; person += 1) await buildTask(uuidv7());
  shapeBefore = await shape();
  await sql(recipe);
});
afterAll(() => db.drop());

describe("the tables of the tasks service, split by the recipe of docs/scaling.md", () => {
  test("have the columns, checks, keys, indexes and triggers that they had", async () => {
    expect(await shape()).toEqual(shapeBefore);
    const partitions = await sql(
      `SELECT inhparent::regclass::text AS parent, count(*)::integer FROM pg_inherits JOIN pg_class p ON p.oid = inhparent
        WHERE p.relkind = 'p' GROUP BY 1 ORDER BY 1`,
    );
    expect(partitions).toEqual(TABLES.map((table) => ({ parent: `tasks.${table}`, count: 16 })));
    const fill = await sql("SELECT DISTINCT reloptions FROM pg_class WHERE relname ~ '^change_heads_\\d+$'");
    expect(fill).toEqual([{ reloptions: ["fillfactor=50"] }]);
  });

  test("kept everything, in many partitions, and go on counting where they were", async () => {
    const { userId, id } = early;
    expect(
      await sql("SELECT count(*)::integer, count(DISTINCT tableoid) > 8 AS spread FROM tasks.tasks"),
    ).toEqual([{ count: 41, spread: true }]);
    await tasks.write(userId, [{ id, patch: { title: "B" }, trashed: false }], { now: NOW });
    expect(await logOf(userId)).toEqual(["1 create 1", "2 update 2"]);
    expect((await tasks.snapshot(userId, { upTo: null, after: null, limit: 10 })).changes).toMatchObject([
      { title: "B", version: 2 },
    ]);
  });

  test("do a request once that comes again, count versions and log every write", async () => {
    const [userId, operation] = [uuidv7(), uuidv7()];
    const { id } = await buildTask(userId, operation);
    await expect(buildTask(userId, operation)).resolves.toMatchObject({ inserted: false });
    await sql("UPDATE tasks.tasks SET title = 'By hand' WHERE user_id = $1", userId);
    await tasks.write(userId, [{ id, patch: { deletedAt: NOW } }], { now: NOW });
    await sql("DELETE FROM tasks.tasks WHERE user_id = $1", userId);
    expect(await logOf(userId)).toEqual(["1 create 1", "2 update 2", "3 delete 3", "4 erase 4"]);
  });

  test("can't be truncated past the log, neither whole nor a partition", async () => {
    await expect(sql("TRUNCATE tasks.tasks")).rejects.toThrow("change log");
    await expect(sql("TRUNCATE tasks.tasks_3")).rejects.toThrow("change log");
  });

  test("lose one person's rows, and nobody else's, when that person's are erased", async () => {
    const before = await sql("SELECT user_id FROM tasks.tasks ORDER BY 1");
    const userId = uuidv7();
    await buildTask(userId);
    while (await tasks.removeSome(userId, 10));
    expect(await sql("SELECT user_id FROM tasks.tasks ORDER BY 1")).toEqual(before);
    expect(await logOf(userId)).toEqual([]);
  });

  test("forget the answers that are old, and no others", async () => {
    const people = Array.from({ length: 40 }, () => uuidv7());
    await sql(
      `INSERT INTO tasks.answers (user_id, key, request, answer, created_at)
       SELECT u, 'k', '', '1', CASE n WHEN 1 THEN $2::timestamptz ELSE $2::timestamptz + interval '1 day' END
         FROM unnest($1::uuid[]) WITH ORDINALITY p (u, n)`,
      people,
      NOW,
    );
    expect(await tasks.forgetAnswers(new Date(NOW.getTime() + 1_000), 100)).toBe(1);
    expect(await sql("SELECT count(*)::integer FROM tasks.answers")).toEqual([{ count: 39 }]);
  });
});
