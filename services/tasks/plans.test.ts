import { QueryTypes } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { selectList } from "../../mixins/statements.ts";
import { query as run } from "../../tests/support/database.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import type { Position } from "./cursors.logic.ts";
import { SORT_FIELDS } from "./list.schema.ts";
import { defineTask } from "./models/task.model.ts";
import type { ListQuery, SortOrder, TaskRow } from "./tasks.repository.ts";
import { countSql, listSql, pageSql } from "./tasks.sql.ts";

/** Of one person, among many with a few each. */
const MANY = 50_000;
const OTHERS = 5_000;
const FEW = 6;
/** Of each task of the others: so that most of the table is theirs, as it is among many more people. */
const DESCRIPTION = 1_600;
const PAGE = 20;
const ADA = uuidv7();
/** One of every so many tasks is open, and one has the tag; each day has so many. */
const OPEN_EVERY = 500;
const RARE_EVERY = 1_000;
const PER_DAY = 500;
const BEGIN = Date.UTC(2026, 0, 1);
const dayAfter = (days: number): Date => new Date(BEGIN + days * 86_400_000);

let db: MigratedDatabase;

/** What each task holds, by its number `n`; the database's own, so that it takes seconds. */
const fill = (owner: string, description: string, from: string): string => `
  INSERT INTO tasks.tasks (user_id, id, title, description, status, priority, due_at, tags, completed_at, version,
                           created_at, updated_at)
  SELECT ${owner}, gen_random_uuid(),
         (ARRAY['Buy milk', 'Call the plumber', 'Write report'])[1 + n % 3] || ' ' || n, ${description},
         CASE WHEN n % ${OPEN_EVERY} = 0 THEN 'open' ELSE 'done' END, (n % 50) / 10,
         CASE WHEN n % 2 = 0 THEN begun + n * step END,
         CASE WHEN n % ${RARE_EVERY} = 0 THEN ARRAY['rare', 'common'] ELSE ARRAY['common'] END,
         CASE WHEN n % ${OPEN_EVERY} <> 0 THEN begun + n * step END,
         1, begun + n * step, begun + n * step
    FROM ${from}, (VALUES ('${dayAfter(0).toISOString()}'::timestamptz, interval '1 day' / ${PER_DAY})) AS at (begun, step)`;

beforeAll(async () => {
  db = await createMigratedDatabase();
  // A connection without our time limit. Indexes are built at the end, as they are when a database is restored.
  const [index] = await run(db.url, "SELECT pg_get_indexdef('tasks.task_texts_words'::regclass) AS sql");
  await run(
    db.url,
    `SET jit = off;
     DROP INDEX tasks.task_texts_words;
     ALTER TABLE tasks.tasks DISABLE TRIGGER USER;
     ${fill(`'${ADA}'`, "''", `generate_series(1, ${MANY}) AS n`)};
     ${fill("others.id", `repeat('x', ${DESCRIPTION})`, `(SELECT gen_random_uuid() AS id FROM generate_series(1, ${OTHERS})) AS others, generate_series(1, ${FEW}) AS n`)};
     INSERT INTO tasks.task_texts
       SELECT user_id, id, tasks.search_vector(user_id, title, tags, description) FROM tasks.tasks
        WHERE user_id = '${ADA}';
     INSERT INTO tasks.task_texts
       SELECT user_id, id, words FROM tasks.tasks JOIN (
         SELECT user_id, tasks.search_vector(user_id, 'Milk', '{}', '') AS words
           FROM tasks.tasks WHERE user_id <> '${ADA}' GROUP BY user_id) AS alike USING (user_id);
     ALTER TABLE tasks.tasks ENABLE TRIGGER USER;
     ${index?.sql}`,
  );
  await run(db.url, "VACUUM (ANALYZE) tasks.tasks");
  await run(db.url, "VACUUM (ANALYZE) tasks.task_texts");
}, 180_000);
afterAll(() => db.drop());

interface PlanNode {
  "Node Type": string;
  "Relation Name"?: string;
  "Index Name"?: string;
  "Shared Hit Blocks": number;
  "Shared Read Blocks": number;
  "Actual Rows": number;
  Plans?: PlanNode[];
}

interface Explained {
  /** Node types and indexes, as they are nested. */
  shape: string;
  nodes: PlanNode[];
  /** Pages of 8 kB. */
  buffers: number;
  /** Of the page, before it becomes one row. */
  rows: number | undefined;
}

async function explain({ sql, bind }: { sql: string; bind: unknown[] }): Promise<Explained> {
  const [row] = await db.database.query<{ "QUERY PLAN": [{ Plan: PlanNode }] }>(
    `EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) ${sql}`,
    { bind, type: QueryTypes.SELECT },
  );
  if (!row) throw new Error("EXPLAIN has an answer.");
  const plan = row["QUERY PLAN"][0].Plan;
  const all = (node: PlanNode): PlanNode[] => [node, ...(node.Plans ?? []).flatMap(all)];
  const shapeOf = (node: PlanNode): string =>
    `${node["Node Type"]} ${node["Index Name"] ?? ""}(${(node.Plans ?? []).map(shapeOf).join(", ")})`;
  const nodes = all(plan);
  return {
    shape: shapeOf(plan),
    nodes,
    buffers: plan["Shared Hit Blocks"] + plan["Shared Read Blocks"],
    rows: nodes.find((node) => node["Node Type"] === "Limit")?.["Actual Rows"],
  };
}

const query = (filter: Partial<ListQuery> = {}): ListQuery => ({
  due: [],
  created: {},
  updated: {},
  completed: {},
  order: [{ field: "createdAt", descending: true }],
  after: null,
  limit: PAGE + 1,
  ...filter,
});

/** Indexes that begin with the person, by their key or by that of their lexemes. */
async function ownIndexes(): Promise<Set<string>> {
  const found = await db.database.query<{ name: string }>(
    `SELECT c.relname AS name FROM pg_index i
       JOIN pg_class c ON c.oid = i.indexrelid
       LEFT JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
      WHERE i.indrelid IN ('tasks.tasks'::regclass, 'tasks.task_texts'::regclass)
        AND (a.attname = 'user_id' OR c.relname = 'task_texts_words')`,
    { type: QueryTypes.SELECT },
  );
  return new Set(found.map(({ name }) => name));
}

async function assertIndexed({ nodes, shape }: Explained): Promise<void> {
  const own = await ownIndexes();
  const scans = nodes.filter(
    (node) =>
      node["Node Type"].includes("Scan") && !["Subquery Scan", "CTE Scan"].includes(node["Node Type"]),
  );
  const unindexed = scans.filter(
    (node) => !(node["Node Type"] === "Bitmap Heap Scan" || own.has(node["Index Name"] ?? "")),
  );
  expect([shape, unindexed]).toEqual([shape, []]);
  expect(scans.length).toBeGreaterThan(0);
}

const bothWays = SORT_FIELDS.flatMap((field): SortOrder[] => [
  { field, descending: false },
  { field, descending: true },
]);
const nameOf = ({ field, descending }: SortOrder): string => `${descending ? "-" : ""}${field}`;

describe("a list of fifty thousand", () => {
  test.each(bothWays.map((order) => [nameOf(order), order] as const))(
    "by %s reads its page from an index, the thousandth like the first",
    async (_, order) => {
      const first = await explain(pageSql(ADA, query({ order: [order] })));
      await assertIndexed(first);
      expect(first.shape).not.toContain("Sort");
      expect(first.rows).toBe(PAGE + 1);

      const thousandth = await explain(
        pageSql(ADA, query({ order: [order], after: await positionAt(order, 999 * PAGE) })),
      );
      expect(thousandth.shape).toBe(first.shape);
      expect(thousandth.rows).toBe(PAGE + 1);
      expect(thousandth.buffers).toBeLessThanOrEqual(first.buffers * 1.5 + 16);
    },
  );

  /** Where a page ends after so many tasks. */
  async function positionAt(order: SortOrder, count: number): Promise<Position> {
    const { sql, bind } = listSql(
      selectList(defineTask(db.database)),
      ADA,
      query({ order: [order], limit: 1 }),
    );
    const [last] = await db.database.query<TaskRow>(`${sql} OFFSET ${count - 1}`, {
      bind,
      type: QueryTypes.SELECT,
    });
    if (!last) throw new Error("There are not that many.");
    const value = (row: TaskRow): string | number | null => {
      switch (order.field) {
        case "due":
          return row.dueAt?.toISOString() ?? null;
        case "title":
          return row.title;
        case "priority":
          return row.priority;
        case "updatedAt":
          return row.updatedAt.toISOString();
        default:
          return row.createdAt.toISOString();
      }
    };
    return [value(last), last.id];
  }

  const today = { range: { from: dayAfter(50), to: dayAfter(51) } };
  const byDue: SortOrder[] = [{ field: "due", descending: false }];
  const byLatest: SortOrder[] = [{ field: "due", descending: true }];
  const byRelevance: SortOrder[] = [
    { field: "relevance", descending: true },
    { field: "createdAt", descending: true },
  ];
  const oldest: SortOrder[] = [{ field: "createdAt", descending: false }];
  /** That read little more than the tasks of the page, wherever in time those are. */
  const exact: [string, Partial<ListQuery>][] = [
    ["status=open", { status: ["open"] }],
    ["status=done", { status: ["done"] }],
    ["status=open, oldest first", { status: ["open"], order: oldest }],
    ["due=any by due", { due: [{ present: true }], order: byDue }],
    ["due=any by -due", { due: [{ present: true }], order: byLatest }],
    ["due=none by due", { due: [{ present: false }], order: byDue }],
    ["due=today by due", { due: [today], order: byDue }],
    ["due=today by -due", { due: [today], order: byLatest }],
    ["dueFrom by due", { due: [{ range: { from: dayAfter(50) } }], order: byDue }],
    ["dueTo by -due", { due: [{ range: { to: dayAfter(50) } }], order: byLatest }],
    ["createdFrom and createdTo", { created: { from: dayAfter(50), to: dayAfter(51) } }],
    ["q of one task", { q: "49999", order: byRelevance }],
    ["q of one task, oldest first", { q: "49999", order: oldest }],
    ["q of several words", { q: "wri 49997 report", order: byRelevance }],
  ];
  test.each(exact)("with %s reads little more than its page, by an index", async (_, filter) => {
    const plan = await explain(pageSql(ADA, query(filter)));
    await assertIndexed(plan);
    expect([plan.shape, plan.buffers <= 150 ? "little" : plan.buffers]).toEqual([plan.shape, "little"]);
    expect(plan.rows).toBeGreaterThan(0);
  });

  /** That may read all of the person's tasks once, in the order of the list, where few of them match. */
  const others: [string, Partial<ListQuery>][] = [
    ["priority=urgent", { priority: [4] }],
    ["tag=common", { tag: ["common"] }],
    ["tag=rare", { tag: ["rare"] }],
    ["due=none", { due: [{ present: false }] }],
    ["due=today", { due: [today] }],
    ["updatedFrom and updatedTo", { updated: { from: dayAfter(50), to: dayAfter(51) } }],
    ["completedFrom and completedTo", { completed: { from: dayAfter(50), to: dayAfter(51) } }],
    ["q of many", { q: "milk 77", order: byRelevance }],
  ];
  test.each(others)("with %s reads no other person's tasks", async (_, filter) => {
    await assertIndexed(await explain(pageSql(ADA, query(filter))));
  });

  test("by several keys sorts no more than the tasks alike in the first", async () => {
    const order: SortOrder[] = [
      { field: "priority", descending: true },
      { field: "due", descending: false },
    ];
    const plan = await explain(pageSql(ADA, query({ order })));
    await assertIndexed(plan);
    expect(plan.shape).toContain("Incremental Sort");
  });

  test("is counted by an index", async () => {
    for (const filter of [{}, { status: ["open" as const] }, { q: "milk" }, { due: [today] }]) {
      await assertIndexed(await explain(countSql(ADA, query(filter))));
    }
  });
});

test("a search meets no other person's tasks in the index", async () => {
  const [small] = await db.database.query<{ userId: string }>(
    `SELECT user_id AS "userId" FROM tasks.tasks WHERE user_id <> $1 LIMIT 1`,
    { bind: [ADA], type: QueryTypes.SELECT },
  );
  const plan = await explain(pageSql(small?.userId ?? "", query({ q: "milk" })));
  await assertIndexed(plan);
  // Everybody has milk, a third of all tasks have.
  const read = plan.nodes.map((node) => node["Actual Rows"]);
  expect(Math.max(...read)).toBeLessThanOrEqual(FEW);
  expect(plan.buffers).toBeLessThan(100);
});
