import { type Model, type ModelStatic, QueryTypes, type Sequelize } from "sequelize";
import { selectList } from "../../mixins/database.ts";
import type { TaskFilter } from "./filters.logic.ts";
import { defineTask, type TaskRow } from "./models/task.model.ts";
import { countSql, type ListQuery, listSql, type SortOrder } from "./tasks.sql.ts";

export type { ListQuery, SortOrder, TaskRow };

/** With its relevance, 1 to 6, where the list is ordered by it. */
export type ListedRow = TaskRow & { relevance?: number };

/** Fields that a patch may set; the rest follows from them. */
export type RowPatch = Partial<
  Pick<TaskRow, "title" | "description" | "status" | "priority" | "dueOn" | "dueZone" | "dueAt" | "tags">
>;

export type TaskRepository = ReturnType<typeof createTaskRepository>;

/** Every statement names the person: a task of somebody else is not there. */
export function createTaskRepository(database: Sequelize) {
  const Task: ModelStatic<Model<TaskRow>> = defineTask(database);
  const columns = selectList(Task);

  const rows = (sql: string, bind: unknown[]): Promise<TaskRow[]> =>
    database.query<TaskRow>(sql, { bind, type: QueryTypes.SELECT });

  return {
    model: Task,

    async insert(task: TaskRow): Promise<void> {
      await Task.create(task, { returning: false });
    },

    async find(userId: string, id: string): Promise<TaskRow | null> {
      const [found] = await rows(`SELECT ${columns} FROM tasks.tasks WHERE user_id = $1 AND id = $2`, [
        userId,
        id,
      ]);
      return found ?? null;
    },

    list(userId: string, query: ListQuery): Promise<ListedRow[]> {
      const { sql, bind } = listSql(columns, userId, query);
      return rows(sql, bind);
    },

    async count(userId: string, filter: TaskFilter): Promise<number> {
      const { sql, bind } = countSql(userId, filter);
      const [row] = await database.query<{ total: number }>(sql, { bind, type: QueryTypes.SELECT });
      return row?.total ?? 0;
    },

    /** The words that a search reads in a text. */
    async searchWords(q: string): Promise<string[]> {
      const found = await database.query<{ word: string }>(
        "SELECT word FROM tasks.search_words(tasks.search_fold($1, 4000)) AS word",
        { bind: [q], type: QueryTypes.SELECT },
      );
      return [...new Set(found.map(({ word }) => word))];
    },

    /**
     * One statement: the row after the patch, or as it was when the patch changes nothing, or null when it is not
     * there. Only a real change counts up the version.
     */
    async update(userId: string, id: string, patch: RowPatch, now: Date): Promise<TaskRow | null> {
      const given = new Map<string, unknown>(Object.entries(patch));
      const fields = Object.entries(Task.getAttributes())
        .filter(([name]) => given.has(name))
        .map(([name, { field = name }], index) => ({ field, value: given.get(name), bind: `$${index + 4}` }));
      if (fields.length === 0) return this.find(userId, id);
      const status = fields.find(({ field }) => field === "status");
      const sets = fields.map(({ field, bind }) => `${field} = ${bind}`);
      // A task that was done already keeps the moment when it became so.
      if (status) {
        sets.push(`completed_at = CASE WHEN ${status.bind} = 'done' THEN coalesce(b.completed_at, $3) END`);
      }
      // An all-day task is due on the same day whatever its zone: only its date can make a difference.
      const changes = fields
        .filter(({ field }) => field !== "due_zone")
        .map(({ field, bind }) =>
          field === "due_at"
            ? {
                was: "CASE WHEN b.due_on IS NULL THEN b.due_at END",
                becomes: patch.dueOn === null ? bind : "NULL",
              }
            : { was: `b.${field}`, becomes: bind },
        );
      const [row] = await rows(
        `WITH before AS (
           SELECT * FROM tasks.tasks WHERE user_id = $1 AND id = $2 FOR UPDATE
         ), changed AS (
           UPDATE tasks.tasks t SET ${sets.join(", ")}, version = b.version + 1, updated_at = $3
             FROM before b
            WHERE t.user_id = b.user_id AND t.id = b.id
              AND (${changes.map(({ was }) => was).join(", ")})
                  IS DISTINCT FROM (${changes.map(({ becomes }) => becomes).join(", ")})
           RETURNING t.*
         )
         SELECT ${columns} FROM changed
         UNION ALL SELECT ${columns} FROM before WHERE NOT EXISTS (SELECT FROM changed)`,
        [userId, id, now, ...fields.map(({ value }) => value)],
      );
      return row ?? null;
    },

    async remove(userId: string, id: string): Promise<boolean> {
      return (await Task.destroy({ where: { userId, id } })) === 1;
    },

    async removeAll(userId: string): Promise<void> {
      await Task.destroy({ where: { userId } });
    },

    /** The dates of all-day tasks whose `dueAt` belongs to another time zone. */
    async datesOutside(userId: string, timeZone: string): Promise<string[]> {
      const found = await database.query<{ dueOn: string }>(
        `SELECT DISTINCT due_on AS "dueOn" FROM tasks.tasks
          WHERE user_id = $1 AND due_on IS NOT NULL AND (due_zone < $2 OR due_zone > $2)`,
        { bind: [userId, timeZone], type: QueryTypes.SELECT },
      );
      return found.map(({ dueOn }) => dueOn);
    },

    /** Sets when all-day tasks are due in a time zone. No change of the task: its date stays. */
    async moveDates(userId: string, timeZone: string, days: { dueOn: string; dueAt: Date }[]): Promise<void> {
      await database.query(
        `UPDATE tasks.tasks t SET due_at = day.due_at, due_zone = $2
           FROM unnest($3::date[], $4::timestamptz[]) AS day (due_on, due_at)
          WHERE t.user_id = $1 AND t.due_on = day.due_on AND t.due_zone <> $2`,
        {
          bind: [userId, timeZone, days.map((day) => day.dueOn), days.map((day) => day.dueAt.toISOString())],
        },
      );
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
