import type { DueCondition, Range } from "./due.logic.ts";
import type { TaskFilter } from "./filters.logic.ts";
import { type Direction, DUE, NEVER } from "./order.sql.ts";
import { foundSql } from "./search.sql.ts";
import type { Status } from "./task.schema.ts";

/** The tasks that a person has, and that are not in the trash: the beginning of every WHERE that reads them. */
export const ownedBy = (userId: string): string => `user_id = ${userId} AND deleted_at IS NULL`;

/** Binds a value, and gives what stands for it. */
export type Put = (value: unknown) => string;

interface Reading {
  /** Of the index on due times that the order can use too. */
  direction: Direction;
  /** Whether what is found by a text has its relevance. */
  ranked: boolean;
}

/** What a filter puts before SELECT, after FROM and after WHERE. */
export function filterSql(userId: string, filter: TaskFilter, put: Put, { direction, ranked }: Reading) {
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
