/**
 * npm run bench:log
 *
 * What the change log costs a write: rows, bytes and time, with its trigger and without, taking turns in one run.
 */
import { randomUUID } from "node:crypto";
import { runOn } from "../mixins/statements.ts";
import { createTaskRepository } from "../services/tasks/tasks.repository.ts";
import { buildRow } from "../services/tasks/writes.logic.ts";
import { createMigratedDatabase } from "../tests/support/migrated-database.ts";
import { median } from "./support/statistics.ts";

const TURNS = 6;
const WRITES = 500;

const { database, drop } = await createMigratedDatabase();
const tasks = createTaskRepository(database);
const run = runOn(database);
const caller = { userId: randomUUID(), timeZone: "UTC" };
const task = {
  title: "Buy oat milk",
  description: "The one in the blue carton",
  status: "open" as const,
  priority: "none" as const,
  due: null,
  tags: ["home"],
};

const size = async (): Promise<number> => {
  const [row] = await run<{ bytes: number }>(
    "SELECT pg_total_relation_size('tasks.task_changes')::float8 AS bytes",
    [],
  );
  return row?.bytes ?? 0;
};

const times: Record<string, { create: number[]; update: number[] }> = {
  with: { create: [], update: [] },
  without: { create: [], update: [] },
};
let bytes = 0;
let logged = 0;
for (let turn = 0; turn < TURNS * 2; turn += 1) {
  const name = turn % 2 ? "without" : "with";
  await run(`ALTER TABLE tasks.tasks ${name === "with" ? "ENABLE" : "DISABLE"} TRIGGER log_change`, []);
  const before = await size();
  const ids: string[] = [];
  for (let write = 0; write < WRITES; write += 1) {
    const row = buildRow(caller, task, new Date());
    const startedAt = performance.now();
    await tasks.insert([row], randomUUID());
    times[name]?.create.push(performance.now() - startedAt);
    ids.push(row.id);
  }
  for (const id of ids) {
    const startedAt = performance.now();
    await tasks.write(caller.userId, [{ id, patch: { title: "Changed" }, trashed: false }], {
      now: new Date(),
    });
    times[name]?.update.push(performance.now() - startedAt);
  }
  bytes += (await size()) - before;
  if (name === "with") logged += WRITES * 2;
}

for (const kind of ["create", "update"] as const) {
  const [on, off] = [median(times.with?.[kind]), median(times.without?.[kind])];
  console.log(
    `${kind}: p50 ${on.toFixed(3)} ms with the log, ${off.toFixed(3)} ms without: ${(on / off).toFixed(2)} x`,
  );
}
console.log(
  `one row and ${(bytes / logged).toFixed(0)} bytes a write, indexes included; no further statement`,
);
await drop();
