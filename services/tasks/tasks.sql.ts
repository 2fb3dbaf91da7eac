import type { Position } from "./cursors.logic.ts";
import type { TaskFilter } from "./filters.logic.ts";
import { filterSql, type Put } from "./filters.sql.ts";
import { afterPosition, placesIn, type SortColumn, type SortOrder, sortColumn } from "./order.sql.ts";
import { PRIORITIES } from "./task.schema.ts";

export interface ListQuery extends TaskFilter {
  order: SortOrder[];
  /** Where the page before ended: one value for each of `order`, then the id. */
  after: Position | null;
  limit: number;
}

/** As people see an instant: RFC 3339 in UTC with milliseconds. */
const INSTANT = (column: string): string =>
  `to_char(${column} AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"')`;

/**
 * A task as people see it, as JSON. `toTaskView` makes the same of a row, which a test holds; for a page of tasks this
 * costs a fraction of it.
 */
const TASK_JSON = `(SELECT row_to_json(task)::text FROM (
    SELECT id, user_id AS "userId", title, description, status,
           (ARRAY['${PRIORITIES.join("','")}'])[priority + 1] AS priority,
           coalesce(due_on::text, ${INSTANT("due_at")}) AS due, tags, ${INSTANT("completed_at")} AS "completedAt", version,
           ${INSTANT("created_at")} AS "createdAt", ${INSTANT("updated_at")} AS "updatedAt"
  ) task) AS json`;

interface Statement {
  sql: string;
  bind: unknown[];
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
