import fc from "fast-check";
import { v7 as uuidv7 } from "uuid";
import { inRequest } from "../../lib/request-context.ts";
import { runOn } from "../../mixins/statements.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createIdempotency } from "./idempotency.logic.ts";
import { createTaskRepository, type RowPatch, type SortOrder, type TaskRow } from "./tasks.repository.ts";

let db: MigratedDatabase;
let tasks: ReturnType<typeof createTaskRepository>;

beforeAll(async () => {
  db = await createMigratedDatabase();
  tasks = createTaskRepository(db.database);
});
afterAll(() => db.drop());

const T0 = new Date("2026-11-22T10:00:00.000Z");
const T1 = new Date("2026-11-22T11:00:00.000Z");

async function buildRow(fields: Partial<TaskRow> = {}): Promise<TaskRow> {
  const row: TaskRow = {
    userId: uuidv7(),
    id: uuidv7(),
    title: "A task",
    description: "",
    status: "open",
    priority: 0,
    dueOn: null,
    dueZone: null,
    dueAt: null,
    tags: [],
    completedAt: null,
    version: 1,
    createdAt: T0,
    updatedAt: T0,
    deletedAt: null,
    ...fields,
  };
  await tasks.insert([row]);
  return row;
}

/** The row after a patch, or null. */
async function update(userId: string, id: string, patch: RowPatch, now: Date): Promise<TaskRow | null> {
  const [written] = (await tasks.write(userId, [{ id, patch, trashed: false }], { now })) ?? [];
  if (!written) return null;
  const { matches: _matches, changed: _changed, ...row } = written;
  return row;
}

const remove = (userId: string, id: string, now = T1) => update(userId, id, { deletedAt: now }, now);

const allDay = (dueOn: string, dueAt: string) => ({ dueOn, dueZone: "UTC", dueAt: new Date(dueAt) });
const noDue = { dueOn: null, dueZone: null, dueAt: null };

describe("a task", () => {
  it("comes back as it was stored", async () => {
    const row = await buildRow({
      title: "Ünïcode 🌱 'quoted' \"twice\" \\ $1 :a ?",
      description: "two\nlines",
      status: "done",
      completedAt: T1,
      priority: 4,
      tags: ["a,b", "{c}", 'd"e', "NULL", ""],
      ...allDay("2026-12-01", "2026-12-01T00:00:00.000Z"),
    });
    expect(await tasks.find(row.userId, row.id)).toEqual(row);
  });

  it("of another person is not there: not to read, change or remove", async () => {
    const row = await buildRow();
    const stranger = uuidv7();

    expect(await tasks.find(stranger, row.id)).toBeNull();
    expect(await update(stranger, row.id, { title: "Mine" }, T1)).toBeNull();
    expect(await update(stranger, row.id, {}, T1)).toBeNull();
    expect(await remove(stranger, row.id)).toBeNull();
    while (await tasks.removeSome(stranger, 100));
    expect(await tasks.find(row.userId, row.id)).toEqual(row);
  });

  it("is due on the first and last day there is, in every time zone", async () => {
    for (const dueAt of ["0001-01-01T00:00:00.000Z", "9999-12-31T23:59:59.999Z"]) {
      const row = await buildRow({ dueAt: new Date(dueAt) });
      expect((await tasks.find(row.userId, row.id))?.dueAt?.toISOString()).toBe(dueAt);
    }
  });
});

describe("a patch", () => {
  it("is one statement, whether it changes something or not", async () => {
    const { userId, id } = await buildRow();
    for (const patch of [
      { title: "New" },
      { title: "New" },
      { status: "done" as const, priority: 3, ...noDue },
      {},
    ]) {
      const stop = db.countStatements();
      await update(userId, id, patch, T1);
      expect([patch, stop()]).toEqual([patch, 1]);
    }
  });

  it("that changes nothing bumps nothing", async () => {
    const row = await buildRow({
      tags: ["a", "b"],
      priority: 2,
      ...allDay("2026-12-01", "2026-12-01T00:00:00.000Z"),
    });
    const { title, description, status, priority, tags, dueOn, dueZone, dueAt } = row;
    const same: RowPatch = { title, description, status, priority, tags, dueOn, dueZone, dueAt };

    expect(await update(row.userId, row.id, same, T1)).toEqual(row);
    expect(await update(row.userId, row.id, {}, T1)).toEqual(row);
    expect(await tasks.find(row.userId, row.id)).toEqual(row);
  });

  it("leaves every other task alone", async () => {
    const row = await buildRow();
    const others = [await buildRow({ userId: row.userId }), await buildRow({ id: row.id })];
    await update(row.userId, row.id, { title: "New", status: "done" }, T1);

    for (const other of others) expect(await tasks.find(other.userId, other.id)).toEqual(other);
  });

  it("takes text for text", async () => {
    const { userId, id } = await buildRow();
    const title = "'); DROP TABLE tasks.tasks; -- $1 %s";
    expect(await update(userId, id, { title, tags: ["$2", "'"] }, T1)).toMatchObject({
      title,
      tags: ["$2", "'"],
    });
  });

  it("sends fifty at once into fifty versions and loses none", async () => {
    const { userId, id } = await buildRow();
    const patches = Array.from({ length: 50 }, (_, index): RowPatch => {
      const fields: RowPatch[] = [
        { title: `title ${index}` },
        { description: `description ${index}` },
        { tags: [`tag ${index}`] },
        { dueOn: null, dueZone: null, dueAt: new Date(T0.getTime() + index) },
        { priority: 1 + (Math.floor(index / 5) % 2) },
      ];
      return fields[index % 5] ?? {};
    });
    const results = await Promise.all(patches.map((patch) => update(userId, id, patch, T1)));
    const versions = results.map((result) => result?.version ?? 0);
    const final = await tasks.find(userId, id);

    // Each answer is the row as its own patch left it.
    for (const [index, result] of results.entries()) expect(result).toMatchObject(patches[index] ?? {});
    // Only the priority has values that may be there already; each other patch counts.
    expect(final?.version).toBe(Math.max(...versions));
    expect(new Set(versions.filter((_, index) => index % 5 !== 4)).size).toBe(40);
    // In the end each field has what its last writer gave it.
    for (const field of ["title", "description", "tags", "dueAt"] as const) {
      const writers = results.filter((_, index) => field in (patches[index] ?? {}));
      const last = writers.reduce((a, b) => ((a?.version ?? 0) > (b?.version ?? 0) ? a : b));
      expect(final?.[field]).toEqual(last?.[field]);
    }
  });

  it("that waited for another one is judged by what that one left, not by what it saw before", async () => {
    const { userId, id } = await buildRow({ title: "A" });
    const pool = db.connect();
    const first = await pool.transaction();
    await pool.query(
      "UPDATE tasks.tasks SET title = 'B', version = version + 1 WHERE user_id = $1 AND id = $2",
      {
        bind: [userId, id],
        transaction: first,
      },
    );
    const second = update(userId, id, { title: "A" }, T1);
    await waitForBlocked();
    await first.commit();

    expect(await second).toMatchObject({ title: "A", version: 3 });
    expect(await tasks.find(userId, id)).toMatchObject({ title: "A", version: 3 });
  });

  it("of a task that is removed meanwhile finds nothing", async () => {
    const { userId, id } = await buildRow();
    const pool = db.connect();
    const removal = await pool.transaction();
    await pool.query("DELETE FROM tasks.tasks WHERE user_id = $1", { bind: [userId], transaction: removal });
    const patch = update(userId, id, { title: "B" }, T1);
    await waitForBlocked();
    await removal.commit();

    expect(await patch).toBeNull();
  });
});

/** Resolves when a statement of this database waits for a lock. */
async function waitForBlocked(): Promise<void> {
  for (;;) {
    const [waiting] = await db.database.query(
      "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'",
    );
    if (waiting.length > 0) return;
  }
}

describe("patches one after another", () => {
  const text = fc.constantFrom("a", "b", "A", "ä🌱");
  const dues = fc.constantFrom(
    noDue,
    allDay("2026-12-01", "2026-12-01T00:00:00.000Z"),
    allDay("2026-12-02", "2026-12-02T00:00:00.000Z"),
    { ...noDue, dueAt: new Date("2026-12-01T09:00:00.123Z") },
  );
  const plain = fc.record(
    {
      title: text,
      description: text,
      status: fc.constantFrom("open" as const, "in_progress" as const, "done" as const, "cancelled" as const),
      priority: fc.integer({ min: 0, max: 4 }),
      tags: fc.uniqueArray(text, { maxLength: 3 }),
    },
    { requiredKeys: [] },
  );
  const patches = fc
    .tuple(plain, fc.option(dues, { nil: undefined }))
    .map(([fields, due]): RowPatch => ({ ...fields, ...due }));

  /** What RFC 7396 and the rules of `completedAt` and `version` make of a patch. */
  function patched(row: TaskRow, patch: RowPatch, now: Date): TaskRow {
    const next = { ...row, ...patch };
    const keys = Object.keys(patch).filter((key): key is keyof RowPatch => key in patch);
    if (keys.every((key) => JSON.stringify(row[key]) === JSON.stringify(next[key]))) return row;
    const completedAt = next.status === "done" ? (row.completedAt ?? now) : null;
    return { ...next, completedAt, version: row.version + 1, updatedAt: now };
  }

  it("leave what the model says: absent keeps, null clears, done is dated once", async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(patches, { minLength: 1, maxLength: 8 }), async (sequence) => {
        let expected = await buildRow();
        for (const [index, patch] of sequence.entries()) {
          const now = new Date(T1.getTime() + index * 1000);
          expected = patched(expected, patch, now);
          expect(await update(expected.userId, expected.id, patch, now)).toEqual(expected);
        }
        expect(await tasks.find(expected.userId, expected.id)).toEqual(expected);
      }),
      { numRuns: 60 },
    );
  });
});

describe("a move to another time zone", () => {
  it("moves all-day tasks and nothing else, and counts as no change", async () => {
    const userId = uuidv7();
    const rows = [
      await buildRow({ userId, ...allDay("2026-12-01", "2026-12-01T00:00:00.000Z") }),
      await buildRow({ userId, ...allDay("2026-12-02", "2026-12-02T00:00:00.000Z") }),
      await buildRow({ userId, dueAt: new Date("2026-12-01T00:00:00.000Z") }),
      await buildRow({ userId }),
      await buildRow(allDay("2026-12-01", "2026-12-01T00:00:00.000Z")),
    ] as const;
    const outside = await tasks.datesOutside(userId, "Asia/Tokyo", 1_000);
    expect(outside).toHaveLength(2);
    expect(outside).toEqual(expect.arrayContaining(rows.slice(0, 2).map(({ id, dueOn }) => ({ id, dueOn }))));
    expect(await tasks.datesOutside(userId, "Asia/Tokyo", 1)).toHaveLength(1);
    expect(await tasks.datesOutside(userId, "UTC", 1_000)).toEqual([]);

    const moves = outside.map((task) => ({ ...task, dueAt: new Date(`${task.dueOn}T00:00:00+09:00`) }));
    // Two of the person's lists at once find the same thing to do.
    await Promise.all([1, 2, 3].map(() => tasks.moveDates(userId, "Asia/Tokyo", moves)));

    const moved = await Promise.all(rows.map((row) => tasks.find(row.userId, row.id)));
    expect(moved).toEqual([
      { ...rows[0], dueZone: "Asia/Tokyo", dueAt: new Date("2026-11-30T15:00:00.000Z") },
      { ...rows[1], dueZone: "Asia/Tokyo", dueAt: new Date("2026-12-01T15:00:00.000Z") },
      rows[2],
      rows[3],
      rows[4],
    ]);
    expect(await tasks.datesOutside(userId, "Asia/Tokyo", 1_000)).toEqual([]);
  });

  it("leaves a task alone whose date was changed meanwhile", async () => {
    const { userId, id } = await buildRow(allDay("2026-12-02", "2026-12-02T00:00:00.000Z"));
    const move = { id, dueOn: "2026-12-01", dueAt: new Date("2026-11-30T15:00:00.000Z") };
    await tasks.moveDates(userId, "Asia/Tokyo", [move]);
    expect(await tasks.find(userId, id)).toMatchObject({ dueOn: "2026-12-02", dueZone: "UTC" });
  });
});

const ALL = { due: [], created: {}, updated: {}, completed: {} };

it("a connection keeps the plans of a few lists, however many kinds of pages are asked for", async () => {
  const database = db.connect();
  const { list } = createTaskRepository(database);
  const order: SortOrder[] = [{ field: "createdAt", descending: true }];
  for (let limit = 1; limit <= 101; limit += 1)
    for (const _connection of [1, 2]) await list(uuidv7(), { ...ALL, order, after: null, limit });
  const [kept] = await runOn(database)<{ lists: number }>(
    "SELECT count(*)::int AS lists FROM pg_prepared_statements WHERE statement LIKE '%tasks.tasks%ORDER BY%'",
    [],
    { prepared: "pipelined" },
  );
  expect(kept?.lists).toBeGreaterThan(0);
  expect(kept?.lists).toBeLessThan(10);
});

describe("a write that nobody waits for any more", () => {
  const late = <T>(work: () => Promise<T>) =>
    expect(inRequest({ requestId: "r", startedAt: 0, awaitedUntil: performance.now() }, work)).rejects;

  it("is not done: what came since stays", async () => {
    const row = await buildRow();
    await late(() => update(row.userId, row.id, { title: "Late" }, T1)).toMatchObject({
      type: "unavailable",
    });
    await late(() => tasks.insert([{ ...row, id: uuidv7() }])).toMatchObject({ type: "unavailable" });
    expect(await tasks.count(row.userId, ALL)).toBe(1);
    expect(await tasks.find(row.userId, row.id)).toEqual(row);
    await remove(row.userId, row.id);
    const trash = { userId: row.userId, limit: 1 };
    await late(() => tasks.eraseTrash(trash)).toMatchObject({ type: "unavailable" });
    expect(await tasks.eraseTrash(trash)).toHaveLength(1);
  });

  it("is not done in a transaction with its answer, either", async () => {
    const { userId, id } = await buildRow();
    const idempotency = createIdempotency({ tasks, announce: () => {}, clock: () => T1.getTime() });
    const request = { userId, action: "tasks.bulk", params: {}, idempotencyKey: "k", onReplay: () => {} };
    const bulk = () =>
      idempotency.atomically(request, (work) =>
        work.tasks.write(userId, [{ id, patch: { title: "x" } }], { now: T1 }),
      );
    await late(bulk).toMatchObject({ type: "unavailable" });
    expect(await tasks.find(userId, id)).toMatchObject({ version: 1 });
    await bulk();
    expect(await tasks.find(userId, id)).toMatchObject({ version: 2 });
  });
});

describe("erasing", () => {
  it("needs a task of the trash, and takes it once", async () => {
    const { userId, id } = await buildRow();
    const erase = () =>
      tasks.atomically(
        (bound) => bound.erase(userId, { id }),
        () => true,
      );
    expect(await erase()).toBeNull();
    await remove(userId, id);
    expect(await erase()).toMatchObject({ id, matches: true });
    expect(await erase()).toBeNull();
  });

  it("removes everything of one person, in parts, and nothing of another", async () => {
    const [mine, theirs] = [await buildRow(), await buildRow()];
    for (let index = 0; index < 5; index += 1) await buildRow({ userId: mine.userId });
    let parts = 0;
    while (await tasks.removeSome(mine.userId, 2)) parts += 1;
    expect(await tasks.atomically((bound) => bound.removeRest(mine.userId), Boolean)).toBe(true);

    expect(parts).toBeGreaterThan(3);
    for (const table of ["tasks", "task_changes", "change_heads", "answers"]) {
      const [left] = await db.database.query(`SELECT FROM tasks.${table} WHERE user_id = $1`, {
        bind: [mine.userId],
      });
      expect([table, left]).toEqual([table, []]);
    }
    expect(await tasks.find(theirs.userId, theirs.id)).toEqual(theirs);
    // Its log must go on where it is.
    expect(await tasks.atomically((bound) => bound.removeRest(theirs.userId), Boolean)).toBe(false);
    await update(theirs.userId, theirs.id, { title: "Changed" }, T1);
    expect((await tasks.changesAfter(theirs.userId, 0, 10)).changes.map(({ seq }) => Number(seq))).toEqual([
      1, 2,
    ]);
  });
});
