import type { Position } from "./cursors.logic.ts";
import type { DueCondition, Range } from "./due.logic.ts";
import type { TaskFilter } from "./filters.logic.ts";
import type { SortField } from "./list.schema.ts";
import { foundSql } from "./search.sql.ts";
import { PRIORITIES, type Status } from "./task.schema.ts";

export interface SortOrder {
  /** `relevance` needs a `q` in the filter. */
  field: SortField | "relevance";
  descending: boolean;
}

export interface ListQuery extends TaskFilter {
  order: SortOrder[];
  /** Where the page before ended: one value for each of `order`, then the id. */
  after: Position | null;
  limit: number;
}

interface SortColumn {
  expression: string;
  /** The same expression over a value of a cursor. */
  of: (bind: string) => string;
  descending: boolean;
}

const TITLE = (value: string): string => `lower(${value} COLLATE "und-x-icu") COLLATE "C"`;

/** The tasks that a person has, and that are not in the trash: the beginning of every WHERE that reads them. */
export const ownedBy = (userId: string): string => `user_id = ${userId} AND deleted_at IS NULL`;

/** No due time is the latest or the earliest there is, so that it comes last in both directions. */
const NEVER = { ascending: "'infinity'", descending: "'-infinity'" };
type Direction = keyof typeof NEVER;

/** As in the indexes tasks_due_asc and tasks_due_desc. */
const DUE = (direction: Direction): string => `coalesce(due_at, ${NEVER[direction]})`;

/** A total order. */
function sortColumn({ field, descending }: SortOrder): SortColumn {
  switch (field) {
    case "relevance":
      return { expression: "relevance", of: (bind) => `${bind}::int`, descending };
    case "createdAt":
      return { expression: "created_at", of: (bind) => `${bind}::timestamptz`, descending };
    case "updatedAt":
      return { expression: "updated_at", of: (bind) => `${bind}::timestamptz`, descending };
    case "priority":
      return { expression: "priority", of: (bind) => `${bind}::smallint`, descending };
    case "title":
      return { expression: TITLE("title"), of: (bind) => TITLE(`${bind}::text`), descending };
    case "due": {
      const direction = descending ? "descending" : "ascending";
      return {
        expression: DUE(direction),
        of: (bind) => `coalesce(${bind}::timestamptz, ${NEVER[direction]})`,
        descending,
      };
    }
  }
}

/** As people see an instant: RFC 3339 in UTC with milliseconds. */
const INSTANT = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/**
 * A task as people see it, as JSON. `toTaskView` makes the same of a row, which a test holds; for a page of tasks this
 * costs a fraction of it.
 */
export const TASK_JSON = `(SELECT row_to_json(task)::text FROM (
    SELECT id, user_id AS "userId", title, description, status,
           (ARRAY['${PRIORITIES.join("','")}'])[priority + 1] AS priority,
           coalesce(due_on::text, ${INSTANT("due_at")}) AS due, tags, ${INSTANT("completed_at")} AS "completedAt", version,
           ${INSTANT("created_at")} AS "createdAt", ${INSTANT("updated_at")} AS "updatedAt"
  ) task) AS json`;

type Put = (value: unknown) => string;

interface Statement {
  sql: string;
  bind: unknown[];
}

interface Reading {
  /** Of the index on due times that the order can use too. */
  direction: Direction;
  /** Whether what is found by a text has its relevance. */
  ranked: boolean;
}

/** What a filter puts before SELECT, after FROM and after WHERE. */
function filterSql(userId: string, filter: TaskFilter, put: Put, { direction, ranked }: Reading) {
  const owner = put(userId);
  const found = filter.q === undefined ? undefined : foundSql(owner, put(filter.q), { ranked });

  const range = (column: string, { from, to }: Range): string[] => [
    ...(from ? [`${column} >= ${put(from)}`] : []),
    ...(to ? [`${column} < ${put(to)}`] : []),
  ];
  const due = DUE(direction);
  const isDue = `${due} ${direction === "ascending" ? "<" : ">"} ${NEVER[direction]}`;
  const dueSql = ({ present, range: within, overdue }: DueCondition): string[] => [
    ...(present === undefined ? [] : [present ? isDue : `${due} = ${NEVER[direction]}`]),
    ...(within ? [isDue, ...range(due, within)] : []),
    ...(overdue
      ? [
          isDue,
          `${due} < ${put(overdue.now)} AND (due_on IS NULL OR due_at < ${put(overdue.today)})`,
          "status IN ('open', 'in_progress')",
        ]
      : []),
  ];
  // Only of one status does PostgreSQL know that tasks_status has them in the order of the list.
  const isStatus = (statuses: Status[]): string =>
    statuses.length === 1 ? `status = ${put(statuses[0])}` : `status = ANY(${put(statuses)}::text[])`;
  const where = [
    ownedBy(owner),
    ...(filter.status ? [isStatus(filter.status)] : []),
    ...(filter.priority ? [`priority = ANY(${put(filter.priority)}::smallint[])`] : []),
    ...(filter.tag ? [`tags && ${put(filter.tag)}::text[]`] : []),
    ...filter.due.flatMap(dueSql),
    ...range("created_at", filter.created),
    ...range("updated_at", filter.updated),
    ...range("completed_at", filter.completed),
  ];
  return { with: found ?? "", from: `tasks.tasks${found ? " JOIN found USING (id)" : ""}`, where };
}

/**
 * The statement for one page of a person's list; each row has its `dueAt` and its `relevance` where those are in the order.
 * Values only ever travel as binds.
 */
export function listSql(columns: string, userId: string, query: ListQuery): Statement {
  const bind: unknown[] = [];
  const put: Put = (value) => `$${bind.push(value)}`;

  const latestFirst = query.order.some(({ field, descending }) => field === "due" && descending);
  const ranked = query.order.some(({ field }) => field === "relevance");
  const filter = filterSql(userId, query, put, {
    direction: latestFirst ? "descending" : "ascending",
    ranked,
  });
  const order = query.order.map(sortColumn);
  const tieBreaker = { expression: "id", of: (value: string) => `${value}::uuid`, descending: false };
  const sort = [...order, { ...tieBreaker, descending: order.at(-1)?.descending ?? false }];

  const after = query.after ? [afterPosition(sort, query.after.map(put))] : [];
  const direction = ({ expression, descending }: SortColumn): string =>
    `${expression} ${descending ? "DESC" : "ASC"}`;
  const shown = [columns, ...placesIn(query.order).map(({ expression, name }) => `${expression} AS ${name}`)];
  const sql = `${filter.with} SELECT ${shown.join(", ")} FROM ${filter.from}
    WHERE ${[...filter.where, ...after].join(" AND ")}
    ORDER BY ${sort.map(direction).join(", ")}
    LIMIT ${Math.trunc(query.limit)}`;
  return { sql, bind };
}

/** What a place in an order depends on and a task as people see it does not have. */
function placesIn(order: SortOrder[]): { expression: string; name: string }[] {
  const has = (asked: SortOrder["field"]): boolean => order.some(({ field }) => field === asked);
  return [
    ...(has("due") ? [{ expression: "due_at", name: '"dueAt"' }] : []),
    ...(has("relevance") ? [{ expression: "relevance", name: "relevance" }] : []),
  ];
}

/**
 * A page as one row, which takes a client less than as many rows: the tasks as JSON with a line feed between, which JSON
 * of one line has none of, and an array of each of the other columns.
 */
export function pageSql(userId: string, query: ListQuery): Statement {
  const { sql, bind } = listSql(TASK_JSON, userId, query);
  const places = placesIn(query.order).map(({ name }) => `, array_agg(${name}) AS ${name}`);
  return { sql: `SELECT string_agg(json, E'\\n') AS json${places.join("")} FROM (${sql}) page`, bind };
}

/** How many tasks there are on all pages of a list. */
export function countSql(userId: string, filter: TaskFilter): Statement {
  const bind: unknown[] = [];
  const put: Put = (value) => `$${bind.push(value)}`;
  const { from, where, ...rest } = filterSql(userId, filter, put, { direction: "ascending", ranked: false });
  return {
    sql: `${rest.with} SELECT count(*)::int AS total FROM ${from} WHERE ${where.join(" AND ")}`,
    bind,
  };
}

/** "Comes after this position": as a row comparison, which an index serves, where all keys go one way. */
function afterPosition(sort: SortColumn[], binds: string[]): string {
  const values = sort.map((column, index) => column.of(binds[index] ?? "NULL"));
  const comparison = ({ descending }: SortColumn): string => (descending ? "<" : ">");
  const [first] = sort;
  if (first && sort.every(({ descending }) => descending === first.descending)) {
    const expressions = sort.map(({ expression }) => expression).join(", ");
    return `(${expressions}) ${comparison(first)} (${values.join(", ")})`;
  }
  const strictlyAfter = sort.reduceRight((rest, column, index) => {
    const beyond = `${column.expression} ${comparison(column)} ${values[index]}`;
    return rest === "" ? beyond : `(${beyond} OR (${column.expression} = ${values[index]} AND ${rest}))`;
  }, "");
  // Implied by the rest, but only this much can be looked up in an index.
  return first ? `${first.expression} ${comparison(first)}= ${values[0]} AND ${strictlyAfter}` : "true";
}
