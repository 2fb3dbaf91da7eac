/**
 * npm run bench:search [-- tasks of one person]
 *
 * What search costs where it is written and where it is read, in one run.
 */
import { v7 as uuidv7 } from "uuid";
import { createTaskRepository, type ListQuery, type TaskRow } from "../services/tasks/tasks.repository.ts";
import { query } from "../tests/support/database.ts";
import { createMigratedDatabase } from "../tests/support/migrated-database.ts";
import { median } from "./support/statistics.ts";

const [tasksOfOne = "200000"] = process.argv.slice(2);
const MANY = Number(tasksOfOne);
const ROUNDS = 8;
const INSERTS = 100;
const ERASED = 20_000;
const NOW = new Date("2026-11-22T10:00:00Z");
/** English and Russian words; the first are the most common. */
const WORDS = (
  "buy milk call the report write review купить молоко задача встреча отчёт plumber garden invoice travel budget " +
  "hotel ticket dentist school kitchen window перевод документ звонок клиент проект письмо bread cheese orange " +
  "bicycle computer network database question holiday weather winter summer бумага дорога погода машина"
).split(" ");

const db = await createMigratedDatabase();
const SEARCH_TRIGGERS = ["add_task_texts", "change_task_text", "remove_task_texts"];
const tasks = createTaskRepository(db.database);
try {
  await writing();
  await worstCase();
  await erasing();
  await reading();
} finally {
  await db.drop();
}

function buildRow(userId: string, fields: Partial<TaskRow> = {}): TaskRow {
  const word = (): string => WORDS[Math.floor(WORDS.length * Math.random() ** 2)] ?? "milk";
  const due = { dueOn: null, dueZone: null, dueAt: null };
  const text = { title: [word(), word(), word(), word()].join(" "), description: "", tags: [word()] };
  const dates = { completedAt: null, createdAt: NOW, updatedAt: NOW };
  return {
    userId,
    id: uuidv7(),
    ...text,
    status: "open",
    priority: 0,
    ...due,
    ...dates,
    version: 1,
    deletedAt: null,
    ...fields,
  };
}

/** Inserts and changes of status, with the triggers and without, taking turns. */
async function writing(): Promise<void> {
  const owner = uuidv7();
  const times: Record<string, number[]> = {};
  const time = async (name: string, work: () => Promise<unknown>): Promise<void> => {
    const startedAt = performance.now();
    await work();
    times[name] = [...(times[name] ?? []), performance.now() - startedAt];
  };
  for (let round = 0; round < ROUNDS; round++) {
    for (const state of ["ENABLE", "DISABLE"]) {
      for (const name of SEARCH_TRIGGERS)
        await query(db.url, `ALTER TABLE tasks.tasks ${state} TRIGGER ${name}`);
      const how = state === "ENABLE" ? "with search" : "without";
      const rows = Array.from({ length: INSERTS }, () => buildRow(owner));
      for (const row of rows) await time(`insert, ${how}`, () => tasks.insert([row]));
      for (const { id } of rows)
        await time(`status, ${how}`, () =>
          tasks.write(owner, [{ id, patch: { status: "done" } }], { now: NOW }),
        );
      for (const { id } of rows)
        await time(`title, ${how}`, () =>
          tasks.write(owner, [{ id, patch: { title: "New title of it" } }], { now: NOW }),
        );
    }
  }
  for (const name of SEARCH_TRIGGERS) await query(db.url, `ALTER TABLE tasks.tasks ENABLE TRIGGER ${name}`);
  for (const what of ["insert", "status", "title"]) {
    const [on, off] = [median(times[`${what}, with search`]), median(times[`${what}, without`])];
    console.log(
      `${what}: ${on.toFixed(2)} ms with search, ${off.toFixed(2)} without, ${(on / off).toFixed(2)} ×`,
    );
  }
}

/** 20,000 characters of Chinese without a space: no two parts of it are alike. */
async function worstCase(): Promise<void> {
  const owner = uuidv7();
  const at = (index: number): string => String.fromCodePoint(0x20000 + ((index * 7919) % 40_000));
  const long = Array.from({ length: 20_000 }, (_, index) => at(index)).join("");
  const taken: number[] = [];
  for (let round = 0; round < 3; round++) {
    const startedAt = performance.now();
    await tasks.insert([buildRow(owner, { description: long })]);
    taken.push(performance.now() - startedAt);
  }
  const [size] = await query(
    db.url,
    "SELECT max(length(words)) AS lexemes, max(pg_column_size(words)) AS bytes FROM tasks.task_texts WHERE user_id = $1",
    [owner],
  );
  console.log(
    `worst description: ${median(taken).toFixed(0)} ms, ${size?.lexemes} lexemes, ${size?.bytes} bytes`,
  );
}

/** All tasks of a person whose account is deleted, with their changes, as tasks.eraseAll does it. */
async function erasing(): Promise<void> {
  for (const state of ["ENABLE", "DISABLE"]) {
    const owner = uuidv7();
    const rows = Array.from({ length: ERASED }, () => buildRow(owner));
    for (let at = 0; at < ERASED; at += INSERTS) await tasks.insert(rows.slice(at, at + INSERTS));
    for (const name of SEARCH_TRIGGERS)
      await query(db.url, `ALTER TABLE tasks.tasks ${state} TRIGGER ${name}`);
    const startedAt = performance.now();
    while (await tasks.removeSome(owner, 500));
    const took = performance.now() - startedAt;
    console.log(
      `erase ${ERASED} tasks, ${state === "ENABLE" ? "with search" : "without"}: ${took.toFixed(0)} ms`,
    );
  }
  for (const name of SEARCH_TRIGGERS) await query(db.url, `ALTER TABLE tasks.tasks ENABLE TRIGGER ${name}`);
}

async function reading(): Promise<void> {
  const owner = uuidv7();
  const words = `ARRAY['${WORDS.join("','")}']`;
  const word = `(${words})[1 + floor(${WORDS.length} * random() ^ 2)::int]`;
  const [index] = await query(db.url, "SELECT pg_get_indexdef('tasks.task_texts_words'::regclass) AS sql");
  await query(
    db.url,
    `SET jit = off;
     ALTER TABLE tasks.tasks DISABLE TRIGGER USER;
     TRUNCATE tasks.tasks, tasks.task_texts;
     DROP INDEX tasks.task_texts_words;
     INSERT INTO tasks.tasks
       (user_id, id, title, description, status, priority, tags, version, created_at, updated_at)
     SELECT CASE WHEN n <= ${MANY} THEN '${owner}'::uuid ELSE md5((n / 20)::text)::uuid END, gen_random_uuid(),
            concat_ws(' ', ${word}, ${word}, ${word}, 'number', n % 5000), '', 'open', 0, ARRAY['home'], 1,
            '2026-01-01'::timestamptz + n * interval '1 minute', '2026-01-01'
       FROM generate_series(1, ${Math.floor(MANY * 1.5)}) AS n;
     INSERT INTO tasks.task_texts
       SELECT user_id, id, tasks.search_vector(user_id, title, tags, description) FROM tasks.tasks;
     ALTER TABLE tasks.tasks ENABLE TRIGGER USER;
     ${index?.sql}`,
  );
  await query(db.url, "VACUUM (ANALYZE) tasks.tasks");
  await query(db.url, "VACUUM (ANALYZE) tasks.task_texts");
  const [size] = await query(
    db.url,
    `SELECT count(*)::int AS n, pg_table_size('tasks.tasks') / count(*) AS task,
            pg_table_size('tasks.task_texts') / count(*) AS text, pg_relation_size('tasks.task_texts_words') / count(*) AS gin,
            pg_relation_size('tasks.task_texts_pkey') / count(*) AS key, avg(length(words))::int AS lexemes
       FROM tasks.task_texts`,
  );
  console.log("bytes a task:", size);

  const newest: ListQuery["order"] = [{ field: "createdAt", descending: true }];
  const best: ListQuery["order"] = [{ field: "relevance", descending: true }, ...newest];
  const base: ListQuery = {
    due: [],
    created: {},
    updated: {},
    completed: {},
    order: newest,
    after: null,
    limit: 21,
  };
  const cases: Record<string, Partial<ListQuery>> = {
    "no filter": {},
    "tag that nothing has": { tag: ["nowhere"] },
    "q of nothing": { q: "qqqq", order: best },
    "q of one in 5,000": { q: "4321", order: best },
    "q of two words, one in 200": { q: "milk 77", order: best },
    "q of one in 6": { q: "milk", order: best },
    "q of all": { q: "numb", order: best },
    "q of all, newest first": { q: "numb" },
  };
  for (const [name, filter] of Object.entries(cases)) {
    const taken: number[] = [];
    for (let round = 0; round < 7; round++) {
      const startedAt = performance.now();
      await tasks.list(owner, { ...base, ...filter });
      taken.push(performance.now() - startedAt);
    }
    const total = await tasks.count(owner, { ...base, ...filter });
    console.log(`${name}: ${median(taken).toFixed(1)} ms, of ${total} tasks`);
  }
}
