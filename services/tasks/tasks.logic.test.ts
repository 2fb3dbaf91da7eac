import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { v7 as uuidv7 } from "uuid";
import { isProblem } from "../../lib/errors.ts";
import { validate } from "../../lib/validator.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createCursors } from "./cursors.logic.ts";
import { readDue } from "./due.logic.ts";
import { SORT_FIELDS, type SortField } from "./list.schema.ts";
import { PRIORITIES, type SparseTask, STATUSES } from "./task.schema.ts";
import { createTaskLogic } from "./tasks.logic.ts";
import { createTaskRepository, type TaskRow } from "./tasks.repository.ts";
import { taskActions } from "./tasks.schema.ts";
import { createTurns } from "./turns.logic.ts";
import { buildRow, createTaskWrites, type TaskWrites } from "./writes.logic.ts";

const NOW = Date.UTC(2026, 10, 22, 10);
const HOUR = 3_600_000;
const DAY = 24 * HOUR;
const ZONE = "Europe/Berlin";

let db: MigratedDatabase;
let repository: ReturnType<typeof createTaskRepository>;
let logic: ReturnType<typeof createTaskLogic>;
let writes: TaskWrites;

beforeAll(async () => {
  db = await createMigratedDatabase();
  repository = createTaskRepository(db.database);
  const cursors = createCursors(randomBytes(32));
  const clock = () => NOW;
  const longReads = createTurns("long_read", { clock });
  logic = createTaskLogic({ tasks: repository, cursors: () => cursors, longReads, clock });
  writes = createTaskWrites({ tasks: repository, operation: null, announce: () => {}, clock: () => NOW });
});
afterAll(() => db.drop());

/** Few of everything, so that ties are common; case, scripts and characters beyond 16 bits among the titles. */
const titles = fc.oneof(
  fc.constantFrom(
    "a",
    "A",
    "b",
    "B",
    "ab",
    "äb",
    "Äb",
    "ÄB",
    "z",
    "Zebra",
    "ß",
    "éa",
    "ΣΑΣ",
    "σας",
    "Ж",
    "ж",
  ),
  fc.constantFrom("10", "9", "a b", "a-b", "a_b", "%", "🌱", "𐐀", "𐐨", "\uffee", "İ", "ı", "i", "I", "中"),
);
const moments = fc.integer({ min: -3, max: 3 }).map((days) => new Date(NOW + days * DAY));
const dues = fc.oneof(
  fc.constant(null),
  moments.map((moment) => moment.toISOString()),
  moments.map((moment) => moment.toISOString().slice(0, 10)),
);
const rows = fc
  .record({
    title: titles,
    description: fc.constant(""),
    status: fc.constantFrom(...STATUSES),
    priority: fc.integer({ min: 0, max: 4 }),
    due: dues,
    tags: fc.uniqueArray(fc.constantFrom("home", "work", "Home", "%", "_", "a'b", "x\\y"), { maxLength: 3 }),
    createdAt: moments,
    updatedAt: moments,
    completed: moments,
  })
  .map(({ due, completed, ...fields }) => ({
    ...fields,
    ...readDue(due, ZONE),
    completedAt: fields.status === "done" ? completed : null,
    version: 1,
  }));

async function buildRows(userId: string, count: number): Promise<TaskRow[]> {
  const built = fc
    .sample(rows, count)
    .map((row): TaskRow => ({ ...row, userId, id: uuidv7(), deletedAt: null }));
  await repository.model.bulkCreate(built, { returning: false });
  return built;
}

const list = (userId: string, query: object, timeZone = ZONE) =>
  logic.list({ userId, timeZone }, validate(taskActions.list.params, query));

/** All pages one after another; `between` runs after each. */
async function allPages(
  userId: string,
  query: object,
  between: (page: SparseTask[]) => Promise<unknown> = async () => {},
): Promise<SparseTask[]> {
  const found: SparseTask[] = [];
  let cursor: string | null = null;
  do {
    const page = await list(userId, cursor === null ? query : { ...query, cursor });
    found.push(...page.items);
    cursor = page.nextCursor;
    await between(page.items);
  } while (cursor !== null);
  return found;
}

const ids = (tasks: { id: string }[]): string[] => tasks.map(({ id }) => id);

/** The model's order: text by lower-case code points, null due times last both ways, ids in the last key's way. */
function compareBy(sort: readonly string[]) {
  const key = (row: TaskRow, field: string): number | string | Buffer | null => {
    if (field === "title") return Buffer.from(row.title.toLowerCase());
    if (field === "due") return row.dueAt?.getTime() ?? null;
    if (field === "priority") return row.priority;
    if (field === "createdAt") return row.createdAt.getTime();
    return field === "id" ? row.id : row.updatedAt.getTime();
  };
  const tie = sort.at(-1)?.startsWith("-") ? "-id" : "id";
  return (a: TaskRow, b: TaskRow): number => {
    for (const each of [...sort, tie]) {
      const [field, way] = each.startsWith("-") ? [each.slice(1), -1] : [each, 1];
      const [x, y] = [key(a, field), key(b, field)];
      if (x === null || y === null) {
        if (x !== y) return x === null ? 1 : -1;
      } else if (x instanceof Buffer && y instanceof Buffer) {
        const order = Buffer.compare(x, y);
        if (order !== 0) return order * way;
      } else if (x !== y) return x < y ? -way : way;
    }
    return 0;
  };
}

const bothWays = (fields: readonly SortField[]): string[][] =>
  fields.reduce<string[][]>(
    (sorts, field) =>
      sorts.flatMap((sort) => [
        [...sort, field],
        [...sort, `-${field}`],
      ]),
    [[]],
  );

/** Every sort of up to three different fields, in every order and both ways. */
const SORTS: string[][] = SORT_FIELDS.flatMap((first) => [
  ...bothWays([first]),
  ...SORT_FIELDS.filter((field) => field !== first).flatMap((second) => [
    ...bothWays([first, second]),
    ...SORT_FIELDS.filter((field) => field !== first && field !== second).flatMap((third) =>
      bothWays([first, second, third]),
    ),
  ]),
]);

describe("the pages of a list", () => {
  it("are the whole list in the model's order, for every sort there is", async () => {
    const userId = uuidv7();
    const all = await buildRows(userId, 24);
    await buildRows(uuidv7(), 10);
    expect(SORTS).toHaveLength(10 + 80 + 480);

    const wrong = [];
    for (const [index, sort] of SORTS.entries()) {
      const limit = 7 + (index % 13);
      const found = ids(await allPages(userId, { sort, limit }));
      const expected = ids(all.toSorted(compareBy(sort)));
      if (found.join() !== expected.join()) wrong.push({ sort, limit, found, expected });
    }
    expect(wrong).toEqual([]);
  });

  it("are the same whatever is in the list and however long a page is", async () => {
    const cases = fc.tuple(
      fc.constantFrom(...SORTS),
      fc.integer({ min: 1, max: 30 }),
      fc.integer({ min: 0, max: 25 }),
    );
    await fc.assert(
      fc.asyncProperty(cases, async ([sort, limit, count]) => {
        const userId = uuidv7();
        const all = await buildRows(userId, count);
        expect(ids(await allPages(userId, { sort, limit }))).toEqual(ids(all.toSorted(compareBy(sort))));
      }),
      { numRuns: 40 },
    );
  });

  it("neither skip nor repeat a task that stays, whatever comes and goes meanwhile", async () => {
    const cases = fc.tuple(fc.constantFrom(...SORTS), fc.integer({ min: 1, max: 6 }));
    await fc.assert(
      fc.asyncProperty(cases, async ([sort, limit]) => {
        const userId = uuidv7();
        const all = await buildRows(userId, 24);
        const passing = all.filter((_, index) => index % 4 === 0);
        const staying = all.filter((_, index) => index % 4 !== 0);
        const found = await allPages(userId, { sort, limit }, async (page) => {
          await buildRows(userId, 1);
          // Now and then the very task that the cursor stands on.
          const [gone = passing[0]] = passing.filter(({ id }) => ids(page).includes(id));
          const now = new Date(NOW);
          if (gone) await repository.write(userId, [{ id: gone.id, patch: { deletedAt: now } }], { now });
        });
        const seen = ids(found).filter((id) => staying.some((row) => row.id === id));
        expect(seen).toEqual(ids(staying.toSorted(compareBy(sort))));
        expect(new Set(ids(found)).size).toBe(found.length);
      }),
      { numRuns: 15 },
    );
  });

  it("take as many statements as there are pages, but for a look at the time zone of due dates", async () => {
    const userId = uuidv7();
    await buildRows(userId, 5);
    const cases = [
      [{}, 1],
      [{ sort: "priority" }, 1],
      [{ sort: "due" }, 2],
      [{ due: "today" }, 2],
    ] as const;
    // Opening connections takes statements, too.
    for (const [query] of [...cases, ...cases]) await list(userId, query);
    for (const [query, statements] of cases) {
      const stop = db.countStatements();
      await list(userId, query);
      expect([query, stop()]).toEqual([query, statements]);
    }
  });
});

describe("lists by due date, after a move to another time zone", () => {
  const asked = (params: object) => validate(taskActions.list.params, params);

  function watch() {
    const moveDates = jest.fn(repository.moveDates);
    const clock = () => NOW;
    const watched = createTaskLogic({
      tasks: { ...repository, moveDates },
      cursors: () => createCursors(randomBytes(32)),
      longReads: createTurns("long_read", { clock }),
      clock,
    });
    return { watched, moveDates };
  }

  /** All-day tasks of somebody who was in UTC. */
  async function buildAllDay(userId: string, count: number): Promise<string[]> {
    const task = validate(taskActions.create.params, { title: "All day", due: "2026-12-01" });
    const rows = Array.from({ length: count }, () =>
      buildRow({ userId, timeZone: "UTC" }, task, new Date(NOW)),
    );
    for (let at = 0; at < rows.length; at += 500) await repository.insert(rows.slice(at, at + 500));
    return rows.map(({ id }) => id);
  }

  it("end, also while other requests of the person still move them elsewhere", async () => {
    const userId = uuidv7();
    await buildAllDay(userId, 4_000);
    const { watched, moveDates } = watch();
    const zones = ["Asia/Tokyo", "America/New_York", "Europe/Berlin"];
    const lists = zones.map((timeZone) => watched.list({ userId, timeZone }, asked({ sort: "due" })));
    for (const { items } of await Promise.all(lists)) expect(items).toHaveLength(20);
    // Each goes through all tasks once at the most.
    expect(moveDates.mock.calls.length).toBeLessThanOrEqual(zones.length * 4);
    await watched.list({ userId, timeZone: "Asia/Tokyo" }, asked({ sort: "due" }));
    expect(await repository.datesOutside(userId, "Asia/Tokyo", 1)).toEqual([]);
  });

  it("move the dates of all-day tasks in parts, and only once when many ask at a time", async () => {
    const caller = { userId: uuidv7(), timeZone: "Asia/Tokyo" };
    const ids = await buildAllDay(caller.userId, 2_500);
    const { watched, moveDates } = watch();
    const lists = Array.from({ length: 5 }, () => watched.list(caller, asked({ sort: "due", limit: 100 })));
    for (const { items } of await Promise.all(lists)) expect(items).toHaveLength(100);
    expect(moveDates.mock.calls.map(([, , moves]) => moves.length)).toEqual([1_000, 1_000, 500]);
    expect(await repository.datesOutside(caller.userId, "Asia/Tokyo", 1)).toEqual([]);
    const found = await repository.find(caller.userId, ids.at(-1) ?? "");
    expect(found).toMatchObject({ dueAt: new Date("2026-11-30T15:00:00.000Z"), version: 1 });
  });
});

describe("a cursor", () => {
  /** The first cursor of somebody's list. */
  async function firstCursor(userId: string, query: object): Promise<string> {
    const { nextCursor } = await list(userId, query);
    if (nextCursor === null) throw new Error("the list has one page only");
    return nextCursor;
  }
  const refused = (userId: string, query: object): Promise<boolean> =>
    list(userId, query).then(
      () => false,
      (error: unknown) => isProblem(error, "invalid_cursor"),
    );

  it("belongs to one person, filter and sort, and to any length of page", async () => {
    const [ada, ben] = [uuidv7(), uuidv7()];
    await Promise.all([buildRows(ada, 5), buildRows(ben, 5)]);
    const query = { sort: "title", status: "open,done,in_progress,cancelled", limit: 1 };
    const cursor = await firstCursor(ada, query);

    expect((await list(ada, { ...query, limit: 9, cursor })).items).toHaveLength(4);
    expect(await refused(ben, { ...query, cursor })).toBe(true);
    for (const other of [
      { sort: "-title" },
      { sort: "title,due" },
      { status: "open" },
      { due: "any" },
      { tag: "a" },
    ]) {
      expect([other, await refused(ada, { ...query, ...other, cursor })]).toEqual([other, true]);
    }
  });

  it("with SQL in it is no cursor", async () => {
    const made = Buffer.from(JSON.stringify(["'; DROP TABLE tasks.tasks; --", uuidv7()])).toString(
      "base64url",
    );
    for (const cursor of ["' OR 1=1 --", made, `AAAA${made}`])
      expect(await refused(uuidv7(), { cursor })).toBe(true);
  });

  it("stands on a title with quotes, wildcards and line breaks like on any other", async () => {
    const userId = uuidv7();
    for (const title of ["'; DROP TABLE tasks.tasks; --", "%_%", "a\nb", "\\", "$1", '"', "a\u2028b"]) {
      await writes.create({ userId, timeZone: ZONE }, validate(taskActions.create.params, { title }));
    }
    expect(await allPages(userId, { sort: "-title", limit: 1 })).toHaveLength(7);
  });
});

describe("a task in a list", () => {
  const texts = fc
    .oneof(fc.string({ unit: "binary", maxLength: 40 }), titles)
    .map((value) => value.replaceAll("\0", ""));
  const any = fc
    .record({
      title: texts,
      description: texts,
      status: fc.constantFrom(...STATUSES),
      priority: fc.constantFrom(...PRIORITIES),
      due: fc.oneof(dues, fc.constantFrom("0001-01-01", "9999-12-31", "9999-12-31T23:59:59.999Z")),
      tags: fc.uniqueArray(texts, { maxLength: 3 }),
    })
    .filter(({ title, description, tags }) =>
      [title, description, ...tags].every((value) => value.isWellFormed()),
    );

  it("is the same as the task by itself, though PostgreSQL writes the one and this program the other", async () => {
    await fc.assert(
      fc.asyncProperty(any, async (task) => {
        const caller = { userId: uuidv7(), timeZone: ZONE };
        const created = await writes.create(caller, task);
        const { items } = await logic.list(caller, validate(taskActions.list.params, {}));
        expect(items).toEqual([created]);
        expect(Object.keys(items[0] ?? {})).toEqual(Object.keys(created));
      }),
      { numRuns: 60 },
    );
  });
});

describe("a filter", () => {
  const bounds = fc.option(
    fc.oneof(
      moments.map((moment) => moment.toISOString()),
      moments.map((moment) => moment.toISOString().slice(0, 10)),
    ),
    { nil: undefined },
  );
  const some = <T>(values: readonly T[]) =>
    fc.option(fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 3 }), { nil: undefined });
  const filters = fc.record({
    status: some(STATUSES),
    priority: some(PRIORITIES),
    tag: some(["home", "work", "Home", "%", "_", "a'b", "x\\y", "nowhere", "hom%", "hom_"]),
    due: fc.option(fc.constantFrom("none", "any", "overdue", "today", "week"), { nil: undefined }),
    dueFrom: bounds,
    dueTo: bounds,
    createdFrom: bounds,
    createdTo: bounds,
    updatedFrom: bounds,
    updatedTo: bounds,
    completedFrom: bounds,
    completedTo: bounds,
  });
  type Filter = typeof filters extends fc.Arbitrary<infer F> ? F : never;

  /** Berlin is an hour ahead of UTC in all of these days. */
  const startOf = (bound: string): number =>
    bound.includes("T") ? Date.parse(bound) : Date.parse(`${bound}T00:00:00+01:00`);
  const TODAY = startOf("2026-11-22");

  function within(moment: Date | null, from: string | undefined, to: string | undefined): boolean {
    if (from === undefined && to === undefined) return true;
    if (moment === null) return false;
    const time = moment.getTime();
    return (from === undefined || time >= startOf(from)) && (to === undefined || time < startOf(to));
  }

  function isDue(row: TaskRow, due: string | undefined): boolean {
    const time = row.dueAt?.getTime();
    if (due === undefined) return true;
    if (time === undefined || due === "none" || due === "any")
      return (due === "none") === (time === undefined);
    if (due === "today") return time >= TODAY && time < TODAY + DAY;
    if (due === "week") return time >= TODAY && time < TODAY + 7 * DAY;
    return ["open", "in_progress"].includes(row.status) && (row.dueOn ? time < TODAY : time < NOW);
  }

  const matches = (row: TaskRow, filter: Filter): boolean =>
    (filter.status?.includes(row.status) ?? true) &&
    (filter.priority?.includes(PRIORITIES[row.priority] ?? "none") ?? true) &&
    (filter.tag?.some((tag) => row.tags.includes(tag)) ?? true) &&
    isDue(row, filter.due) &&
    within(row.dueAt, filter.dueFrom, filter.dueTo) &&
    within(row.createdAt, filter.createdFrom, filter.createdTo) &&
    within(row.updatedAt, filter.updatedFrom, filter.updatedTo) &&
    within(row.completedAt, filter.completedFrom, filter.completedTo);

  /** The ends of ranges in which nothing could ever be. */
  const emptyRanges = (filter: Filter): string[] =>
    (["due", "created", "updated", "completed"] as const)
      .filter((field) => {
        const [from, to] = [filter[`${field}From`], filter[`${field}To`]];
        return from !== undefined && to !== undefined && startOf(from) >= startOf(to);
      })
      .map((field) => `${field}To`);

  it("finds what the model finds: metacharacters are text, `from` is in and `to` is out", async () => {
    const userId = uuidv7();
    const all = await buildRows(userId, 80);
    const given = filters.map((filter): Filter => JSON.parse(JSON.stringify(filter)));
    // Of twelve filters at once hardly anything is left, so most runs have one or two.
    const few = fc
      .tuple(
        given,
        fc.subarray(
          [
            "status",
            "priority",
            "tag",
            "due",
            "dueFrom",
            "dueTo",
            "createdFrom",
            "createdTo",
            "updatedFrom",
            "updatedTo",
            "completedFrom",
            "completedTo",
          ],
          { maxLength: 3 },
        ),
      )
      .map(([filter, names]): Filter => JSON.parse(JSON.stringify(filter, ["", ...names])));
    await fc.assert(
      fc.asyncProperty(fc.oneof(few, few, given), async (filter) => {
        const refused = emptyRanges(filter);
        if (refused.length > 0) {
          await expect(list(userId, filter)).rejects.toMatchObject({
            data: { violations: refused.map((name) => ({ path: [name], code: "empty_range" })) },
          });
          return;
        }
        const found = ids(await allPages(userId, { ...filter, limit: 100 }));
        const expected = ids(all.filter((row) => matches(row, filter)));
        expect([filter, found.toSorted()]).toEqual([filter, expected.toSorted()]);
      }),
      { numRuns: 200 },
    );
  });
});

describe("a person who moves", () => {
  const ada = (timeZone: string) => ({ userId, timeZone });
  let userId: string;
  beforeEach(() => {
    userId = uuidv7();
  });
  const create = (due: string, timeZone: string) =>
    writes.create(ada(timeZone), validate(taskActions.create.params, { title: due, due }));

  it("finds all-day tasks on their date where the person is now, and instants where they were", async () => {
    // It is 22 November, ten o'clock in UTC: still the 21st in Niue, the 23rd in Kiritimati.
    await create("2026-11-21", "UTC");
    await create("2026-11-22", "UTC");
    await create("2026-11-23", "UTC");
    await create("2026-11-22T10:30:00.000Z", "UTC");
    const today = async (timeZone: string) =>
      (await list(userId, { due: "today", sort: "title" }, timeZone)).items.map(({ due }) => due);

    expect(await today("Pacific/Niue")).toEqual(["2026-11-21", "2026-11-22T10:30:00.000Z"]);
    expect(await today("Pacific/Kiritimati")).toEqual(["2026-11-22T10:30:00.000Z", "2026-11-23"]);
    expect(await today("UTC")).toEqual(["2026-11-22", "2026-11-22T10:30:00.000Z"]);
  });

  it("finds every task as it was: no version, no time of change", async () => {
    const before = await create("2026-11-22", "UTC");
    const lists = await Promise.all(
      ["Asia/Tokyo", "UTC", "America/New_York", "Asia/Tokyo"].map((zone) =>
        list(userId, { due: "any" }, zone),
      ),
    );
    for (const { items } of lists) expect(items).toEqual([before]);
  });

  it("changes nothing by sending the date that is there", async () => {
    const { id, version } = await create("2026-11-22", "UTC");
    const patched = await writes.update(ada("Asia/Tokyo"), { id, patch: { due: "2026-11-22" } });

    expect(patched).toMatchObject({ due: "2026-11-22", version });
  });

  it("may be due on the first day there is, east of Greenwich", async () => {
    expect(await create("0001-01-01", "Asia/Tokyo")).toMatchObject({ due: "0001-01-01" });
    expect(await list(userId, { sort: "due" }, "Pacific/Kiritimati")).toMatchObject({
      items: [{ due: "0001-01-01" }],
    });
  });
});
