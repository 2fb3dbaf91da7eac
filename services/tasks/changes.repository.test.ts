import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import type { LogPage } from "./changes.repository.ts";
import { createHousekeeping } from "./housekeeping.logic.ts";
import { createTaskRepository, type TaskRepository, type TaskRow } from "./tasks.repository.ts";
import { type Announcement, buildRow, createTaskWrites } from "./writes.logic.ts";

const NOW = Date.UTC(2026, 10, 22, 10);
const DAY = 86_400_000;

let db: MigratedDatabase;
let tasks: TaskRepository;

beforeAll(async () => {
  db = await createMigratedDatabase();
  tasks = createTaskRepository(db.database);
});
afterAll(() => db.drop());

const sql = async (statement: string, ...bind: unknown[]): Promise<unknown[]> =>
  (await db.database.query(statement, { bind }))[0];

const newTask = {
  title: "A",
  description: "",
  status: "open",
  priority: "none",
  due: null,
  tags: [],
} as const;

async function buildTask(fields: Partial<TaskRow> = {}, at = NOW): Promise<TaskRow> {
  const caller = { userId: uuidv7(), timeZone: "UTC" };
  const row = { ...buildRow(caller, { ...newTask, tags: [] }, new Date(at)), ...fields };
  await tasks.insert([row]);
  return row;
}

const patch = (userId: string, id: string, title: string, at = NOW) =>
  tasks.write(userId, [{ id, patch: { title }, trashed: false }], { now: new Date(at) });
const trash = (userId: string, id: string, at = NOW) =>
  tasks.write(userId, [{ id, patch: { deletedAt: new Date(at) } }], { now: new Date(at) });

const logOf = async (userId: string): Promise<string[]> =>
  (await tasks.changesAfter(userId, 0, 1_000)).changes.map(
    ({ seq, op, version }) => `${seq} ${op} ${version}`,
  );

describe("the change log", () => {
  it("is written by a plain SQL statement as by any other", async () => {
    const userId = uuidv7();
    const ids = [uuidv7(), uuidv7()];
    await sql(
      `INSERT INTO tasks.tasks (user_id, id, title, description, status, priority, tags, version, created_at, updated_at)
       SELECT $1, unnest($2::uuid[]), 'By hand', '', 'open', 0, '{}', 1, now(), now()`,
      userId,
      ids,
    );
    await sql(
      "UPDATE tasks.tasks SET title = 'Changed', version = 77 WHERE user_id = $1 AND id = $2",
      userId,
      ids[0],
    );
    await sql("UPDATE tasks.tasks SET title = title WHERE user_id = $1", userId);
    await sql("DELETE FROM tasks.tasks WHERE user_id = $1 AND id = $2", userId, ids[1]);
    expect(await logOf(userId)).toEqual(["1 create 1", "2 create 1", "3 update 2", "4 erase 2"]);
  });

  it("can't be passed by", async () => {
    const { userId, id } = await buildTask();
    await expect(sql("TRUNCATE tasks.tasks")).rejects.toThrow("change log");
    await expect(sql("UPDATE tasks.tasks SET user_id = $2 WHERE id = $1", id, uuidv7())).rejects.toThrow(
      "keeps its id and its person",
    );
    expect(await logOf(userId)).toEqual(["1 create 1"]);
  });

  it("comes in pages that fit into a message, however long the tasks' texts are", async () => {
    const count = 50;
    const caller = { userId: uuidv7(), timeZone: "UTC" };
    // Of all that may be written, what JSON makes the most of.
    const longest = (length: number) => "\u0001".repeat(length);
    const tags = Array.from({ length: 20 }, (_, n) => longest(48) + String(n).padStart(2, "0"));
    const content = { ...newTask, title: longest(200), description: longest(20_000), tags };
    const built = () => buildRow(caller, { ...content, tags: [...tags] }, new Date(NOW));
    for (let stored = 0; stored < count; stored++) await tasks.insert([built()]);
    await sql(
      "UPDATE tasks.tasks SET status = 'done', completed_at = now() WHERE user_id = $1",
      caller.userId,
    );
    await sql(
      "UPDATE tasks.tasks SET status = 'open', completed_at = NULL WHERE user_id = $1",
      caller.userId,
    );
    const { userId } = caller;
    const sizeOf = (page: LogPage) => Buffer.byteLength(JSON.stringify(page));
    const all: LogPage[] = [];
    for (let since = 0; all.at(-1)?.more ?? true; since = all.at(-1)?.changes.at(-1)?.seq ?? 0) {
      all.push(await tasks.changesAfter(userId, since, 1_000));
    }
    expect(all.flatMap(({ changes }) => changes.map(({ seq }) => seq))).toEqual(
      Array.from({ length: 3 * count }, (_, index) => index + 1),
    );
    const snapshots: LogPage[] = [];
    for (let after: string | null = null; snapshots.at(-1)?.more ?? true; ) {
      snapshots.push(await tasks.snapshot(userId, { after, upTo: null, limit: 1_000 }));
      after = snapshots.at(-1)?.changes.at(-1)?.taskId ?? null;
    }
    expect(snapshots.flatMap(({ changes }) => changes)).toHaveLength(count);
    expect(Math.max(...[...all, ...snapshots].map(sizeOf))).toBeLessThan(15 * 2 ** 20);
    expect(all.length).toBe(2);
  });

  it("says whether there is more", async () => {
    const { userId, id } = await buildTask();
    await patch(userId, id, "B");
    expect((await tasks.changesAfter(userId, 0, 1)).more).toBe(true);
    expect((await tasks.changesAfter(userId, 0, 2)).more).toBe(false);
    expect((await tasks.changesAfter(userId, 2, 2)).more).toBe(false);
  });

  it("goes with the transaction: what is undone leaves no gap", async () => {
    const { userId, id } = await buildTask();
    const undone = tasks.atomically(
      async (bound) => {
        await bound.write(userId, [{ id, patch: { title: "B" } }], { now: new Date(NOW) });
        return bound.changesAfter(userId, 0, 10);
      },
      () => false,
    );
    expect((await undone).head).toBe(2);
    await patch(userId, id, "C");
    expect(await logOf(userId)).toEqual(["1 create 1", "2 update 2"]);
  });

  it("counts without gaps, in the order of commits, with fifty writers at once on two nodes", async () => {
    const nodes = [tasks, createTaskRepository(db.connect())];
    const first = await buildTask();
    const { userId } = first;
    const ids = [first.id];
    for (let index = 0; index < 9; index += 1) {
      const row = await buildTask({ userId });
      ids.push(row.id);
    }
    let reading = true;
    const seen: number[] = [];
    const reader = (async () => {
      while (reading) {
        const { changes } = await tasks.changesAfter(userId, seen.at(-1) ?? 0, 1_000);
        seen.push(...changes.map(({ seq }) => seq));
      }
    })();
    const writers = Array.from({ length: 50 }, async (_, writer) => {
      const node = nodes[writer % nodes.length] ?? tasks;
      for (let turn = 0; turn < 5; turn += 1) {
        const id = ids[(writer + turn) % ids.length] ?? "";
        const title = `${writer} ${turn}`;
        if (turn === 4) {
          // Several rows in one transaction, in an order of its own: nobody waits for somebody who waits for them.
          const many = ids.toReversed().map((each) => ({ id: each, patch: { title } }));
          await node.write(userId, many, { now: new Date(NOW) });
        } else await node.write(userId, [{ id, patch: { title } }], { now: new Date(NOW) });
      }
    });
    await Promise.all(writers);
    reading = false;
    await reader;
    const { changes, head } = await tasks.changesAfter(userId, seen.at(-1) ?? 0, 10_000);
    seen.push(...changes.map(({ seq }) => seq));
    // Nothing came late: a reader that goes on from what it saw last misses nothing.
    expect(seen).toEqual(Array.from({ length: head }, (_, index) => index + 1));
    expect(head).toBe(10 + 50 * 4 + 50 * 10);
  });

  it("costs a write no statement", async () => {
    const { userId, id } = await buildTask();
    const stop = db.countStatements();
    await patch(userId, id, "B");
    expect(stop()).toBe(1);
  });
});

describe("a request that comes again", () => {
  const writesOf = (operation: string | null, announced: Announcement[] = []) =>
    createTaskWrites({ tasks, operation, announce: (each) => announced.push(each), clock: () => NOW });
  const caller = () => ({ userId: uuidv7(), timeZone: "UTC" });

  it("creates one task, also when both run at once, and is answered alike", async () => {
    const ada = caller();
    const announced: Announcement[] = [];
    const writes = writesOf(uuidv7(), announced);
    const create = () => writes.create(ada, { ...newTask, tags: [] });
    const answers = [...(await Promise.all([create(), create(), create()])), await create()];
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1);
    expect(await logOf(ada.userId)).toEqual(["1 create 1"]);
    expect(announced).toHaveLength(1);
  });

  it("changes nothing any more, and is answered with what it did, whatever was done since", async () => {
    const ada = caller();
    const { id } = await writesOf(null).create(ada, { ...newTask, tags: [] });
    const writes = writesOf(uuidv7());
    const first = await writes.update(ada, { id, patch: { title: "B" } });
    await writesOf(null).update(ada, { id, patch: { title: "C" } });
    expect(await writes.update(ada, { id, patch: { title: "B" } })).toEqual(first);
    expect(await tasks.find(ada.userId, id)).toMatchObject({ title: "C", version: 3 });
  });

  it("deletes, restores and reverts once", async () => {
    const ada = caller();
    const { id } = await writesOf(null).create(ada, { ...newTask, tags: [] });
    const [deletion, restoration] = [writesOf(uuidv7()), writesOf(uuidv7())];
    await deletion.delete(ada, { id });
    await restoration.restore(ada, { id });
    expect(await deletion.delete(ada, { id })).toBeNull();
    expect(await restoration.restore(ada, { id })).toMatchObject({ version: 3 });
    const again = writesOf(uuidv7());
    await again.delete(ada, { id, ifMatch: [3] });
    expect(await again.delete(ada, { id, ifMatch: [3] })).toBeNull();
    expect(await logOf(ada.userId)).toEqual(["1 create 1", "2 delete 2", "3 restore 3", "4 delete 4"]);
  });

  it("of one person says nothing of another's", async () => {
    const [ada, bob] = [caller(), caller()];
    const operation = uuidv7();
    const one = await writesOf(operation).create(ada, { ...newTask, tags: [] });
    const other = await writesOf(operation).create(bob, { ...newTask, tags: [] });
    expect(other.id).not.toBe(one.id);
  });
});

describe("housekeeping", () => {
  async function keepHouseAt(now: number, announced: Announcement[] = []): Promise<void> {
    const { chores } = createHousekeeping({
      tasks,
      keepTrash: 30 * DAY,
      keepChanges: 90 * DAY,
      announce: (each) => announced.push(each),
      clock: () => now,
    });
    for (const { part } of chores) while ((await part()) > 0);
  }

  it("erases what was in the trash for thirty days, with its history, and says so", async () => {
    const [old, young] = [await buildTask(), await buildTask()];
    await trash(old.userId, old.id, NOW);
    await trash(young.userId, young.id, NOW + DAY);
    const announced: Announcement[] = [];
    await keepHouseAt(NOW + 30 * DAY + 1, announced);
    expect(await logOf(old.userId)).toEqual(["1 create 1", "2 delete 2", "3 erase 3"]);
    expect(await logOf(young.userId)).toEqual(["1 create 1", "2 delete 2"]);
    expect(await tasks.versions(old.userId, old.id, { limit: 10 })).toEqual([]);
    expect(announced.filter(({ userId }) => userId === old.userId)).toEqual([
      { userId: old.userId, event: "erased", tasks: [{ id: old.id, version: 3 }] },
    ]);
  });

  it("takes people in the order of their ids, as whatever else takes several does: none waits for another in a ring", async () => {
    const [low, high] = [uuidv7(), uuidv7()];
    // As they lie in the table, they are in the other order.
    for (const userId of [high, low]) {
      const { id } = await buildTask({ userId });
      await trash(userId, id, NOW);
    }
    const held = await db.database.transaction();
    const bind = [low];
    const head = "SELECT FROM tasks.change_heads WHERE user_id = $1 FOR UPDATE";
    await db.database.query(head, { bind, transaction: held });
    const erasing = tasks.eraseTrash({ before: new Date(NOW + 1), limit: 500 });
    const waiting =
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
    while ((await sql(waiting)).length === 0) await delay(20);
    await sql(`${head} NOWAIT`, high);
    await held.commit();
    expect((await erasing).map(({ userId }) => userId)).toEqual(expect.arrayContaining([low, high]));
  });

  it("erases more than one batch", async () => {
    const { userId } = await buildTask();
    const rows = Array.from({ length: 1_200 }, () => ({
      ...buildRow({ userId, timeZone: "UTC" }, { ...newTask, tags: [] }, new Date(NOW)),
      deletedAt: new Date(NOW),
    }));
    await tasks.insert(rows);
    await keepHouseAt(NOW + 31 * DAY);
    expect(await sql("SELECT id FROM tasks.tasks WHERE user_id = $1", userId)).toHaveLength(1);
  });

  it("removes old changes that something newer followed, and tells where the log begins", async () => {
    const { userId, id } = await buildTask();
    const still = await buildTask({ userId });
    await patch(userId, id, "B", NOW + DAY);
    await patch(userId, id, "C", NOW + 100 * DAY);
    await keepHouseAt(NOW + 91 * DAY);
    expect(await logOf(userId)).toEqual(["1 create 1", "2 create 1", "3 update 2", "4 update 3"]);
    await keepHouseAt(NOW + 91 * DAY + 1);
    // The first version was followed so long ago; the second was not, and the other task has no newer one.
    expect(await logOf(userId)).toEqual(["2 create 1", "3 update 2", "4 update 3"]);
    expect((await tasks.changesAfter(userId, 0, 1)).compactedTo).toBe(1);
    expect((await tasks.versions(userId, still.id, { limit: 5 })).map(({ version }) => version)).toEqual([1]);
    const { changes } = await tasks.snapshot(userId, { after: null, upTo: null, limit: 10 });
    expect(changes.map(({ seq }) => seq)).toEqual([4, 2]);
  });

  it("removes all changes of a task that is gone, when that was so long ago", async () => {
    const start = NOW + 200 * DAY;
    const { userId, id } = await buildTask({}, start);
    await trash(userId, id, start);
    await sql("DELETE FROM tasks.tasks WHERE id = $1", id);
    await sql("UPDATE tasks.task_changes SET at = $2 WHERE task_id = $1", id, new Date(start));
    await keepHouseAt(start + 90 * DAY);
    expect(await logOf(userId)).toEqual(["1 create 1", "2 delete 2", "3 erase 3"]);
    await keepHouseAt(start + 90 * DAY + 1);
    expect(await tasks.changesAfter(userId, 0, 10)).toMatchObject({ head: 3, compactedTo: 3, changes: [] });
  });

  it("goes through each change once, however many there are of the same moment", async () => {
    const start = NOW + 250 * DAY;
    const { userId } = await buildTask({}, start);
    const more = Array.from({ length: 1_200 }, () =>
      buildRow({ userId, timeZone: "UTC" }, { ...newTask, tags: [] }, new Date(start)),
    );
    await tasks.insert(more);
    const before = new Date(start + 1);
    const walked: number[] = [];
    do walked.push(await tasks.compact(before, 500));
    while (walked.at(-1));
    // Of the tests before there are few.
    expect(walked).toEqual([500, 500, expect.any(Number), 0]);
    expect(await tasks.compact(before, 500)).toBe(0);
    expect((await tasks.changesAfter(userId, 0, 1)).compactedTo).toBe(0);
  });

  it("may be done by two nodes at once while people write", async () => {
    const start = NOW + 300 * DAY;
    const { userId, id } = await buildTask({}, start);
    for (let turn = 0; turn < 20; turn += 1) await patch(userId, id, `old ${turn}`, start);
    const later = start + 200 * DAY;
    const rounds = [keepHouseAt(later), keepHouseAt(later)];
    const writing = Array.from({ length: 20 }, (_, turn) => patch(userId, id, `new ${turn}`, later));
    await Promise.all([...rounds, ...writing]);
    const { head, compactedTo, changes } = await tasks.changesAfter(userId, 0, 100);
    expect([head, compactedTo]).toEqual([41, 20]);
    expect(changes.map(({ seq }) => seq)).toEqual(
      Array.from({ length: head - compactedTo }, (_, index) => compactedTo + 1 + index),
    );
  });

  it("forgets answers after a day", async () => {
    const userId = uuidv7();
    const stored = { request: Buffer.from("x"), answer: null };
    await tasks.saveAnswer(userId, "old", stored, new Date(NOW));
    await tasks.saveAnswer(userId, "new", stored, new Date(NOW + DAY));
    await keepHouseAt(NOW + DAY + 1);
    expect(await sql("SELECT key FROM tasks.answers WHERE user_id = $1", userId)).toEqual([{ key: "new" }]);
  });
});
