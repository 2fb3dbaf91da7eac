import fc from "fast-check";
import { v7 as uuidv7 } from "uuid";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { readDue, startOfDay } from "./due.logic.ts";
import { createStatsLogic } from "./stats.logic.ts";
import { createStatsRepository } from "./stats.repository.ts";
import { PRIORITIES, STATUSES } from "./task.schema.ts";
import { createTaskLogic } from "./tasks.logic.ts";
import { createTaskRepository, type TaskRow } from "./tasks.repository.ts";
import { createTurns } from "./turns.logic.ts";

const HOUR = 3_600_000;

let db: MigratedDatabase;
let repository: ReturnType<typeof createTaskRepository>;
beforeAll(async () => {
  db = await createMigratedDatabase();
  repository = createTaskRepository(db.database);
});
afterAll(() => db.drop());

function statsAt(now: number) {
  const clock = () => now;
  const longReads = createTurns("long_read", { clock });
  const noCursors = () => {
    throw new Error("no lists here");
  };
  const tasks = createTaskLogic({ tasks: repository, cursors: noCursors, longReads, clock });
  return createStatsLogic({
    stats: createStatsRepository(db.database),
    settleDates: tasks.settleDates,
    longReads,
    clock,
  });
}

async function build(userId: string, rows: Partial<TaskRow>[]): Promise<void> {
  const moment = new Date("2026-01-01T00:00:00Z");
  const plain = { title: "a", description: "", status: "open" as const, priority: 0, tags: [], version: 1 };
  const never = { ...readDue(null, "UTC"), completedAt: null, createdAt: moment, updatedAt: moment };
  await repository.model.bulkCreate(
    rows.map((row) => ({ ...plain, ...never, userId, id: uuidv7(), ...row })),
    { returning: false },
  );
}

const doneAt = (...moments: (string | number)[]): Partial<TaskRow>[] =>
  moments.map((moment) => ({ status: "done", completedAt: new Date(moment) }));

describe("the days of the statistics", () => {
  it.each([
    // Clocks go forward on the 29th, which has 23 hours, and back on 25 October, which has 25.
    [
      "Europe/Berlin",
      "2026-03-30T12:00:00Z",
      ["2026-03-28T23:00:00Z", "2026-03-29T21:59:59.999Z"],
      "2026-03-29",
    ],
    [
      "Europe/Berlin",
      "2026-10-26T12:00:00Z",
      ["2026-10-24T22:00:00Z", "2026-10-25T22:59:59.999Z"],
      "2026-10-25",
    ],
    // Midnight is left out: the day begins at one.
    [
      "America/Sao_Paulo",
      "2018-11-05T12:00:00Z",
      ["2018-11-04T03:00:00Z", "2018-11-05T01:59:59.999Z"],
      "2018-11-04",
    ],
    // The whole of the 30th is left out.
    [
      "Pacific/Apia",
      "2012-01-02T00:00:00Z",
      ["2011-12-30T10:00:00Z", "2011-12-31T09:59:59.999Z"],
      "2011-12-31",
    ],
    [
      "Asia/Kathmandu",
      "2026-11-22T12:00:00Z",
      ["2026-11-20T18:15:00Z", "2026-11-21T18:14:59.999Z"],
      "2026-11-21",
    ],
  ])("in %s at %s hold %s on %s", async (timeZone, now, moments, date) => {
    const userId = uuidv7();
    const [first = "", last = ""] = moments;
    await build(userId, doneAt(...moments, Date.parse(first) - 1, Date.parse(last) + 1));
    const { completedPerDay } = await statsAt(Date.parse(now)).read({ userId, timeZone });

    expect(completedPerDay.find((day) => day.date === date)).toEqual({ date, count: 2 });
    expect(completedPerDay.reduce((sum, { count }) => sum + count, 0)).toBe(4);
  });

  it("that a country left out is there, with nothing done on it", async () => {
    const stats = await statsAt(Date.parse("2012-01-02T00:00:00Z")).read({
      userId: uuidv7(),
      timeZone: "Pacific/Apia",
    });
    expect(stats.completedPerDay).toContainEqual({ date: "2011-12-30", count: 0 });
  });

  it("end with today and begin 29 days before, at its first millisecond", async () => {
    const userId = uuidv7();
    const now = Date.parse("2026-11-22T10:00:00Z");
    const first = startOfDay("2026-10-24", "Europe/Berlin").getTime();
    await build(userId, doneAt(first - 1, first, now));
    const { completedPerDay } = await statsAt(now).read({ userId, timeZone: "Europe/Berlin" });
    expect(completedPerDay).toHaveLength(30);
    expect([completedPerDay.at(0), completedPerDay.at(-1)]).toEqual([
      { date: "2026-10-24", count: 1 },
      { date: "2026-11-22", count: 1 },
    ]);
  });
});

describe("the figures", () => {
  it("are what the model counts, in every zone, and of one person only", async () => {
    const zones = fc.constantFrom(
      "UTC",
      "Europe/Berlin",
      "America/Sao_Paulo",
      "Pacific/Apia",
      "Asia/Kathmandu",
    );
    const instants = fc.date({
      min: new Date("2012-03-01T00:00:00Z"),
      max: new Date("2030-01-01T00:00:00Z"),
      noInvalidDate: true,
    });
    const shifts = fc.integer({ min: -40 * 24, max: 3 * 24 });
    const rows = fc.record({
      status: fc.constantFrom(...STATUSES),
      priority: fc.integer({ min: 0, max: 4 }),
      due: fc.option(fc.tuple(shifts, fc.boolean())),
      completed: shifts,
    });
    const localDate = (moment: number, timeZone: string): string =>
      new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short" }).format(moment);

    await fc.assert(
      fc.asyncProperty(
        fc.array(rows, { maxLength: 20 }),
        zones,
        instants,
        async (given, timeZone, moment) => {
          const [now, userId] = [moment.getTime(), uuidv7()];
          const today = localDate(now, timeZone);
          const tasks = given.map(({ due, completed, ...row }) => {
            const at = new Date(now + (due?.[0] ?? 0) * HOUR).toISOString();
            const text = due === null ? null : due[1] ? localDate(Date.parse(at), timeZone) : at;
            const completedAt = row.status === "done" ? new Date(now + completed * HOUR) : null;
            return { ...row, text, completedAt, ...readDue(text, timeZone) };
          });
          await build(
            userId,
            tasks.map(({ text: _, ...row }) => row),
          );
          await build(uuidv7(), doneAt(now));

          const count = (matches: (task: (typeof tasks)[number]) => boolean) => tasks.filter(matches).length;
          const isOverdue = ({ status, text }: (typeof tasks)[number]): boolean =>
            (status === "open" || status === "in_progress") &&
            text !== null &&
            (text.includes("T") ? Date.parse(text) < now : text < today);
          const stats = await statsAt(now).read({ userId, timeZone });
          expect(stats).toEqual({
            byStatus: Object.fromEntries(
              STATUSES.map((each) => [each, count(({ status }) => status === each)]),
            ),
            byPriority: Object.fromEntries(
              PRIORITIES.map((name, rank) => [name, count(({ priority }) => priority === rank)]),
            ),
            overdue: count(isOverdue),
            dueToday: count(({ dueAt }) => dueAt !== null && localDate(dueAt.getTime(), timeZone) === today),
            completedPerDay: stats.completedPerDay.map(({ date }) => ({
              date,
              count: count(
                ({ completedAt }) =>
                  completedAt !== null && localDate(completedAt.getTime(), timeZone) === date,
              ),
            })),
          });
          expect(stats.completedPerDay.at(-1)?.date).toBe(today);
        },
      ),
      { numRuns: 40 },
    );
  });

  it("are read by one statement, beside the look at the time zone of due dates", async () => {
    const stop = db.countStatements();
    await statsAt(Date.now()).read({ userId: uuidv7(), timeZone: "UTC" });
    expect(stop()).toBe(2);
  });

  it("count all-day tasks on their date where the person is now", async () => {
    const userId = uuidv7();
    const now = Date.parse("2026-11-22T10:30:00Z");
    await build(userId, [readDue("2026-11-22", "UTC"), readDue("2026-11-23", "UTC")]);
    const figures = async (timeZone: string) => {
      const { dueToday, overdue } = await statsAt(now).read({ userId, timeZone });
      return { dueToday, overdue };
    };
    expect(await figures("UTC")).toEqual({ dueToday: 1, overdue: 0 });
    // There it is the 23rd already.
    expect(await figures("Pacific/Kiritimati")).toEqual({ dueToday: 1, overdue: 1 });
  });
});
