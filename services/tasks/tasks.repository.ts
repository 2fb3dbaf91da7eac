import { type Model, type ModelStatic, QueryTypes, type Sequelize, type Transaction } from "sequelize";
import { type Run, runOn, selectList } from "../../mixins/statements.ts";
import { createAnswerQueries } from "./answers.repository.ts";
import { createChangeQueries } from "./changes.repository.ts";
import { createDateQueries } from "./dates.repository.ts";
import type { TaskFilter } from "./filters.logic.ts";
import { defineTask, type TaskRow } from "./models/task.model.ts";
import type { SortOrder } from "./order.sql.ts";
import { countSql, type ListQuery, pageSql } from "./tasks.sql.ts";
import { createTextQueries } from "./texts.repository.ts";
import { createTrashQueries } from "./trash.repository.ts";
import { createWriteQueries, type RowPatch, type Write, type Written } from "./writes.repository.ts";

export type { ListQuery, RowPatch, SortOrder, TaskRow, Write, Written };

/** A task as people see it, as JSON, and what else its place in the order depends on. */
export interface ListedRow {
  json: string;
  dueAt: Date | null | undefined;
  /** 1 to 6. */
  relevance: number | undefined;
}

/** As `pageSql` reads it: all `null` of no tasks. */
interface ListedPage {
  json: string | null;
  dueAt?: (Date | null)[] | null;
  relevance?: number[] | null;
}

const rowsOf = (page?: ListedPage): ListedRow[] =>
  (page?.json?.split("\n") ?? []).map((json, n) => ({
    json,
    dueAt: page?.dueAt?.[n],
    relevance: page?.relevance?.[n],
  }));

export type TaskQueries = ReturnType<typeof createTaskQueries>;
export type TaskRepository = ReturnType<typeof createTaskRepository>;

/** Every statement names the person: a task of somebody else is not there. */
function createTaskQueries(Task: ModelStatic<Model<TaskRow>>, run: Run) {
  const columns = selectList(Task);
  return {
    ...createAnswerQueries(run),
    ...createChangeQueries(run),
    ...createDateQueries(run),
    ...createTextQueries(run),
    ...createTrashQueries(run, columns),
    ...createWriteQueries(run, Task, columns),

    async find(userId: string, id: string): Promise<TaskRow | null> {
      const [found] = await run<TaskRow>(
        `SELECT ${columns} FROM tasks.tasks WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL`,
        [userId, id],
        { prepared: "pipelined" },
      );
      return found ?? null;
    },

    async list(userId: string, query: ListQuery): Promise<ListedRow[]> {
      const { sql, bind } = pageSql(userId, query);
      const [page] = await run<ListedPage>(sql, bind, isPlain(query) ? { prepared: "pipelined" } : {});
      return rowsOf(page);
    },

    async count(userId: string, filter: TaskFilter): Promise<number> {
      const { sql, bind } = countSql(userId, filter);
      const [row] = await run<{ total: number }>(sql, bind);
      return row?.total ?? 0;
    },

    /** The words that a search reads in a text. */
    async searchWords(q: string): Promise<string[]> {
      const found = await run<{ word: string }>(
        "SELECT word FROM tasks.search_words(tasks.search_fold($1, 4000)) AS word",
        [q],
      );
      return [...new Set(found.map(({ word }) => word))];
    },
  };
}

export function createTaskRepository(database: Sequelize) {
  const Task = defineTask(database);
  const on = (transaction?: Transaction): TaskQueries =>
    createTaskQueries(Task, runOn(database, transaction));

  return {
    ...on(),
    model: Task,

    /** All statements of `work` or none: what it returns is kept when `keep` says so, and undone otherwise. */
    async atomically<T>(work: (tasks: TaskQueries) => Promise<T>, keep: (result: T) => boolean): Promise<T> {
      const transaction = await database.transaction();
      try {
        const result = await work(on(transaction));
        await (keep(result) ? transaction.commit() : transaction.rollback());
        return result;
      } catch (error) {
        // A commit that failed has ended the transaction; a connection that broke has, too.
        await transaction.rollback().catch(() => {});
        throw error;
      }
    },

    /** Shared by all tasks nodes. */
    async cursorKey(): Promise<Buffer> {
      const [row] = await database.query<{ key: Buffer }>("SELECT key FROM tasks.cursor_key", {
        type: QueryTypes.SELECT,
      });
      if (!row) throw new Error("tasks.cursor_key is empty: run the migrations again.");
      return row.key;
    },
  };
}

/**
 * How long the pages are that people ask for; each is a statement of its own, since the best plan depends on it. One more is
 * read: it shows whether there is a next page.
 */
const USUAL_LIMITS = [10, 20, 25, 50, 100].map((limit) => limit + 1);

/** A list that is not narrowed down: its plan is the same for everybody. */
const isPlain = ({
  q,
  status,
  priority,
  tag,
  due,
  created,
  updated,
  completed,
  order,
  after,
  limit,
}: ListQuery): boolean =>
  USUAL_LIMITS.includes(limit) &&
  [q, status, priority, tag, after].every((each) => (each ?? undefined) === undefined) &&
  [due, ...[created, updated, completed].map(Object.keys)].every(({ length }) => length === 0) &&
  order.length === 1;
