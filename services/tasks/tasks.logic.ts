import { notFound, problem } from "../../lib/errors.ts";
import type { Cursors, Position } from "./cursors.logic.ts";
import { type DueCondition, readDueFilter, readRange, startOfDay } from "./due.logic.ts";
import { PRIORITIES, type Task } from "./task.schema.ts";
import { toTaskView } from "./task-view.logic.ts";
import type { TaskQueries, TaskRow } from "./tasks.repository.ts";
import type { ListParams, SortField, SortKey, TaskPage } from "./tasks.schema.ts";
import type { Caller } from "./writes.logic.ts";

interface TaskLogicOptions {
  tasks: Pick<TaskQueries, "find" | "list" | "datesOutside" | "moveDates">;
  cursors: () => Cursors;
  clock: () => number;
}

/** How a person reads their tasks. Whose they are comes from the caller's identity and nowhere else. */
export function createTaskLogic({ tasks, cursors, clock }: TaskLogicOptions) {
  const found = (row: TaskRow | null): Task => {
    if (!row) throw notFound("task");
    return toTaskView(row);
  };

  /** Makes all-day tasks due when their day begins where the person is now, after a change of time zone. */
  async function settleDates({ userId, timeZone }: Caller): Promise<void> {
    const dates = await tasks.datesOutside(userId, timeZone);
    if (dates.length === 0) return;
    const days = dates.map((dueOn) => ({ dueOn, dueAt: startOfDay(dueOn, timeZone) }));
    await tasks.moveDates(userId, timeZone, days);
  }

  return {
    get: async ({ userId }: Caller, id: string): Promise<Task> => found(await tasks.find(userId, id)),

    /** @throws invalid_cursor */
    async list(caller: Caller, params: ListParams): Promise<TaskPage> {
      const { cursor, limit, ...listed } = params;
      const order = params.sort.map(toOrder);
      const name = JSON.stringify([caller.userId, Object.entries(listed).sort()]);
      const after = cursor === undefined ? null : cursors().read(cursor, name);
      if (cursor !== undefined && after === null) {
        throw problem("invalid_cursor", "The cursor was not made for this filter and sort.");
      }
      const due = dueConditions(params, new Date(clock()), caller.timeZone);
      if (due.length > 0 || order.some(({ field }) => field === "due")) await settleDates(caller);

      const { status, priority, tag } = params;
      // One more than asked for shows whether there is a next page.
      const rows = await tasks.list(caller.userId, {
        ...(status ? { status } : {}),
        ...(priority ? { priority: priority.map((name) => PRIORITIES.indexOf(name)) } : {}),
        ...(tag ? { tag } : {}),
        due,
        created: readRange(params.createdFrom, params.createdTo, caller.timeZone),
        updated: readRange(params.updatedFrom, params.updatedTo, caller.timeZone),
        completed: readRange(params.completedFrom, params.completedTo, caller.timeZone),
        order,
        after,
        limit: limit + 1,
      });
      const page = rows.slice(0, limit);
      const last = page.at(-1);
      const nextCursor = rows.length > limit && last ? cursors().write(positionOf(last, order), name) : null;
      return { items: page.map(toTaskView), nextCursor };
    },
  };
}

function dueConditions({ due, dueFrom, dueTo }: ListParams, now: Date, timeZone: string): DueCondition[] {
  const conditions: DueCondition[] = [];
  if (due !== undefined) conditions.push(readDueFilter(due, now, timeZone));
  if (dueFrom !== undefined || dueTo !== undefined)
    conditions.push({ range: readRange(dueFrom, dueTo, timeZone) });
  return conditions;
}

const FIELDS: Record<SortKey, SortField> = {
  createdAt: "createdAt",
  "-createdAt": "createdAt",
  updatedAt: "updatedAt",
  "-updatedAt": "updatedAt",
  due: "due",
  "-due": "due",
  priority: "priority",
  "-priority": "priority",
  title: "title",
  "-title": "title",
};

const toOrder = (key: SortKey) => ({ field: FIELDS[key], descending: key.startsWith("-") });

const positionOf = (row: TaskRow, order: { field: SortField }[]): Position => {
  const values = { ...row, createdAt: row.createdAt.toISOString(), updatedAt: row.updatedAt.toISOString() };
  const due = row.dueAt?.toISOString() ?? null;
  return [...order.map(({ field }) => (field === "due" ? due : values[field])), row.id];
};
