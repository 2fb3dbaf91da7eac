import type { Position } from "./cursors.logic.ts";
import type { DueCondition, Range } from "./due.logic.ts";
import type { Status } from "./task.schema.ts";
import type { SortField } from "./tasks.schema.ts";

export interface SortOrder {
  field: SortField;
  descending: boolean;
}

export interface ListQuery {
  status?: Status[];
  priority?: number[];
  tag?: string[];
  due: DueCondition[];
  created: Range;
  updated: Range;
  completed: Range;
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

/** A total order: null due times are the greatest or the least, so that they come last in both directions. */
function sortColumn({ field, descending }: SortOrder): SortColumn {
  const last = descending ? "'-infinity'" : "'infinity'";
  switch (field) {
    case "createdAt":
      return { expression: "created_at", of: (bind) => `${bind}::timestamptz`, descending };
    case "updatedAt":
      return { expression: "updated_at", of: (bind) => `${bind}::timestamptz`, descending };
    case "priority":
      return { expression: "priority", of: (bind) => `${bind}::smallint`, descending };
    case "title":
      return { expression: TITLE("title"), of: (bind) => TITLE(`${bind}::text`), descending };
    case "due":
      return {
        expression: `coalesce(due_at, ${last})`,
        of: (bind) => `coalesce(${bind}::timestamptz, ${last})`,
        descending,
      };
  }
}

/** The statement for one page of a person's list. Values only ever travel as binds. */
export function listSql(columns: string, userId: string, query: ListQuery): { sql: string; bind: unknown[] } {
  const bind: unknown[] = [];
  const put = (value: unknown): string => `$${bind.push(value)}`;

  const range = (column: string, { from, to }: Range): string[] => [
    ...(from ? [`${column} >= ${put(from)}`] : []),
    ...(to ? [`${column} < ${put(to)}`] : []),
  ];

  const due = ({ present, range: within, overdue }: DueCondition): string[] => [
    ...(present === undefined ? [] : [`due_at IS ${present ? "NOT NULL" : "NULL"}`]),
    ...(within ? range("due_at", within) : []),
    ...(overdue
      ? [
          `due_at < ${put(overdue.now)} AND (due_on IS NULL OR due_at < ${put(overdue.today)})`,
          "status IN ('open', 'in_progress')",
        ]
      : []),
  ];

  const order = query.order.map(sortColumn);
  const tieBreaker = { expression: "id", of: (value: string) => `${value}::uuid`, descending: false };
  const sort = [...order, { ...tieBreaker, descending: order.at(-1)?.descending ?? false }];

  const where = [
    `user_id = ${put(userId)}`,
    "deleted_at IS NULL",
    ...(query.status ? [`status = ANY(${put(query.status)}::text[])`] : []),
    ...(query.priority ? [`priority = ANY(${put(query.priority)}::smallint[])`] : []),
    ...(query.tag ? [`tags && ${put(query.tag)}::text[]`] : []),
    ...query.due.flatMap(due),
    ...range("created_at", query.created),
    ...range("updated_at", query.updated),
    ...range("completed_at", query.completed),
    ...(query.after ? [afterPosition(sort, query.after.map(put))] : []),
  ];
  const direction = ({ expression, descending }: SortColumn): string =>
    `${expression} ${descending ? "DESC" : "ASC"}`;
  const sql = `SELECT ${columns} FROM tasks.tasks
    WHERE ${where.join(" AND ")}
    ORDER BY ${sort.map(direction).join(", ")}
    LIMIT ${put(query.limit)}`;
  return { sql, bind };
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
