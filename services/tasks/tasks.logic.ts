import { notFound, problem } from "../../lib/errors.ts";
import { shareWork } from "../../lib/share-work.ts";
import type { Cursors, Position } from "./cursors.logic.ts";
import { startOfDay } from "./due.logic.ts";
import { explainFilter, readFilter } from "./filters.logic.ts";
import type { ListParams, SortField, SortKey, TaskPage, TaskPageText } from "./list.schema.ts";
import { PRIORITIES, type SparseTask, type Task, type TaskField } from "./task.schema.ts";
import { toTaskView } from "./task-view.logic.ts";
import type { ListedRow, SortOrder, TaskQueries, TaskRow } from "./tasks.repository.ts";
import type { Turns } from "./turns.logic.ts";
import type { Caller } from "./writes.logic.ts";

interface TaskLogicOptions {
  tasks: Pick<TaskQueries, "find" | "list" | "count" | "searchWords" | "datesOutside" | "moveDates">;
  cursors: () => Cursors;
  longReads: Turns;
  clock: () => number;
}

/** Tasks in one statement, and days in one turn of the event loop. */
const MOVED_AT_ONCE = 1_000;

/** How a person reads their tasks. Whose they are comes from the caller's identity and nowhere else. */
export function createTaskLogic({ tasks, cursors, longReads, clock }: TaskLogicOptions) {
  const found = (row: TaskRow | null): Task => {
    if (!row) throw notFound("task");
    return toTaskView(row);
  };

  /** Many at a time would wait for each other, each with a connection. */
  const settling = shareWork<void>();

  /** Makes all-day tasks due when their day begins where the person is now, after a change of time zone. */
  const settleDates = ({ userId, timeZone }: Caller): Promise<void> =>
    settling(`${userId} ${timeZone}`, () => moveDates(userId, timeZone));

  /**
   * In parts, each done for good: who has more than there is time for in one request goes on with the next. What comes
   * back is being moved to a zone of another request, and left to it: two that go on would never end.
   */
  async function moveDates(userId: string, timeZone: string): Promise<void> {
    const moved = new Set<string>();
    for (;;) {
      const outside = await tasks.datesOutside(userId, timeZone, MOVED_AT_ONCE);
      const moves = outside
        .filter(({ id }) => !moved.has(id))
        .map((task) => ({ ...task, dueAt: startOfDay(task.dueOn, timeZone) }));
      if (moves.length > 0) await tasks.moveDates(userId, timeZone, moves);
      if (moves.length < MOVED_AT_ONCE) return;
      for (const { id } of moves) moved.add(id);
    }
  }

  /** A page as the text that a client gets: nothing on its way has to read it. @throws invalid_cursor, validation_failed */
  async function listText(caller: Caller, params: ListParams): Promise<TaskPageText> {
    const { cursor, limit, fields, count, explain, sort, ...filtered } = params;
    const { userId, timeZone } = caller;
    const now = new Date(clock());
    const filter = readFilter(params, now, timeZone);
    const order = orderOf(params);
    const name = JSON.stringify([userId, Object.entries(filtered).sort(), order]);
    const after = cursor === undefined ? null : cursors().read(cursor, name);
    if (cursor !== undefined && after === null) {
      throw problem("invalid_cursor", "The cursor was not made for this filter and sort.");
    }
    if (filter.due.length > 0 || order.some(({ field }) => field === "due")) await settleDates(caller);

    // One more than asked for shows whether there is a next page.
    const read = () =>
      Promise.all([
        tasks.list(userId, { ...filter, order, after, limit: limit + 1 }),
        count ? tasks.count(userId, filter) : undefined,
        explain && filter.q !== undefined ? tasks.searchWords(filter.q) : undefined,
      ]);
    const isLong = filter.q !== undefined || count;
    const [rows, total, words] = await (isLong ? longReads.inTurn(userId, read) : read());
    const page = rows.slice(0, limit);
    const last = page.at(-1);
    const items = page.map(({ json }) => (fields ? JSON.stringify(sparse(JSON.parse(json), fields)) : json));
    const nextCursor = rows.length > limit && last ? cursors().write(positionOf(last, order), name) : null;
    const rest = JSON.stringify({
      nextCursor,
      ...(total === undefined ? {} : { total }),
      ...(explain
        ? {
            explain: {
              timeZone,
              now: now.toISOString(),
              filter: explainFilter(params, filter, now, timeZone),
              sort: [...order, { ...order.at(-1), field: "id" }].map(explainOrder),
              ...(words ? { search: { words } } : {}),
            },
          }
        : {}),
    });
    return { text: `{"items":[${items.join(",")}],${rest.slice(1)}`, nextCursor };
  }

  return {
    settleDates,

    get: async ({ userId }: Caller, id: string, fields?: TaskField[]): Promise<SparseTask> =>
      sparse(found(await tasks.find(userId, id)), fields),

    /** @throws invalid_cursor, validation_failed */
    list: async (caller: Caller, params: ListParams): Promise<TaskPage<SparseTask>> =>
      JSON.parse((await listText(caller, params)).text),

    listText,
  };
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

const toOrder = (key: SortKey): SortOrder => ({ field: FIELDS[key], descending: key.startsWith("-") });
const NEWEST_FIRST: SortOrder = { field: "createdAt", descending: true };
const BEST_FIRST: SortOrder = { field: "relevance", descending: true };

const orderOf = ({ sort, q }: ListParams): SortOrder[] =>
  sort?.map(toOrder) ?? (q === undefined ? [NEWEST_FIRST] : [BEST_FIRST, NEWEST_FIRST]);

const explainOrder = ({ field, descending = false }: { field: string; descending?: boolean }): string =>
  `${descending ? "-" : ""}${field}`;

/** A task without the fields that nobody asked for. */
function sparse(task: Task, fields?: TaskField[]): SparseTask {
  if (!fields) return task;
  const asked = new Set<string>(fields);
  const { id, version } = task;
  return { id, version, ...Object.fromEntries(Object.entries(task).filter(([name]) => asked.has(name))) };
}

/** The values of the sort keys of a task, and its id. */
function positionOf({ json, dueAt, relevance }: ListedRow, order: SortOrder[]): Position {
  const task: Task = JSON.parse(json);
  const values = {
    ...task,
    priority: PRIORITIES.indexOf(task.priority),
    due: dueAt?.toISOString() ?? null,
    relevance: relevance ?? null,
  };
  return [...order.map(({ field }) => values[field]), task.id];
}
