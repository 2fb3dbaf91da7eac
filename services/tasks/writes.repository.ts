import { type Model, type ModelStatic, UniqueConstraintError } from "sequelize";
import type { Run } from "../../mixins/statements.ts";
import type { TaskContent, TaskRow } from "./models/task.model.ts";

/** What a write may set. When it became done follows from the status, unless it is said; the version follows from all. */
export type RowPatch = Partial<TaskContent & Pick<TaskRow, "deletedAt">>;

/** One task to be changed, and what it must be like for that. */
export interface Write {
  id: string;
  patch: RowPatch;
  /** Whether it has to be in the trash; absent: either. Where it is not, there is no such task. */
  trashed?: boolean;
  /** One of these versions, and none of those. */
  ifMatch?: number[] | undefined;
  ifNoneMatch?: number[] | undefined;
}

/** What became of it. */
export interface Written extends TaskRow {
  /** Whether it was of a version asked for. If not, nothing was done. */
  matches: boolean;
  /** Whether the write made a difference. */
  changed: boolean;
}

/** Of a request that has been done, the log has these values already. Each partition's index has another name. */
const REPEATED = /\(user_id, operation\)=/;

export function createWriteQueries(run: Run, Task: ModelStatic<Model<TaskRow>>, columns: string) {
  const fields = new Map(
    Object.entries(Task.getAttributes()).map(([name, { field = name }]) => [name, field]),
  );
  /** By the names that the table has for them. */
  const toColumns = (values: object): Record<string, unknown> =>
    Object.fromEntries(Object.entries(values).map(([name, value]) => [fields.get(name) ?? name, value]));

  return {
    /**
     * @param operation the request, when it may come again
     * @returns false when it had come before: nothing is written, and `repeated` has what it did
     */
    async insert(tasks: TaskRow[], operation: string | null = null): Promise<boolean> {
      const names = [...fields.values(), "operation"].join(", ");
      const records = tasks.map((task) => ({ ...toColumns(task), operation }));
      const inserted = await unlessRepeated(
        run(
          `INSERT INTO tasks.tasks (${names})
           SELECT ${names} FROM jsonb_populate_recordset(NULL::tasks.tasks, $1::jsonb) WITH ORDINALITY ORDER BY ordinality`,
          [JSON.stringify(records)],
          { prepared: true, inTime: true },
        ),
      );
      return inserted !== null;
    },

    /**
     * Changes tasks in one statement: locks them in the order of their ids, compares, writes. One row for each task
     * that is there, in no order: after its change, or as it is when nothing was to be done.
     *
     * @param operation the request, when it may come again
     * @returns null when it had come before: nothing is written, and `repeated` has what it did
     */
    write(
      userId: string,
      writes: Write[],
      { now, operation = null }: { now: Date; operation?: string | null },
    ): Promise<Written[] | null> {
      const wanted = writes.map(({ patch, ifMatch, ifNoneMatch, ...rest }) => ({
        ...rest,
        patch: toColumns(patch),
        if_match: ifMatch,
        if_none_match: ifNoneMatch,
      }));
      const written = run<Written>(
        `WITH wanted AS (
           SELECT * FROM jsonb_to_recordset($3::jsonb)
             AS w (id uuid, patch jsonb, trashed boolean, if_match integer[], if_none_match integer[])
         ), before AS (
           SELECT t AS task FROM tasks.tasks t
            WHERE t.user_id = $1 AND t.id IN (SELECT id FROM wanted) ORDER BY t.id FOR UPDATE
         ), judged AS (
           SELECT b.task, w.patch,
                  coalesce((b.task).version = ANY(w.if_match), true)
                    AND NOT coalesce((b.task).version = ANY(w.if_none_match), false) AS matches
             FROM before b JOIN wanted w ON w.id = (b.task).id
            WHERE w.trashed IS NULL OR w.trashed = ((b.task).deleted_at IS NOT NULL)
         ), changed AS (
           UPDATE tasks.tasks t
              SET title = n.title, description = n.description, status = n.status, priority = n.priority,
                  due_on = n.due_on, due_zone = n.due_zone, due_at = n.due_at, tags = n.tags,
                  completed_at = CASE WHEN n.status = 'done' THEN coalesce(n.completed_at, $2) END,
                  deleted_at = n.deleted_at, updated_at = $2, operation = $4
             FROM judged j CROSS JOIN LATERAL jsonb_populate_record(j.task, j.patch) n
            WHERE j.matches AND t.user_id = $1 AND t.id = (j.task).id
           RETURNING t.*
         ), unchanged AS (
           SELECT (j.task).*, j.matches FROM judged j WHERE (j.task).id NOT IN (SELECT id FROM changed)
         )
         SELECT ${columns}, true AS matches, true AS changed FROM changed
         UNION ALL SELECT ${columns}, matches, false AS changed FROM unchanged`,
        [userId, now, JSON.stringify(wanted), operation],
        { prepared: true, inTime: true },
      );
      return unlessRepeated(written);
    },

    /** Erases a task of the trash for good; in a transaction, since it is locked and judged first. */
    async erase(userId: string, write: Omit<Write, "patch" | "trashed">): Promise<Written | null> {
      const locked = await this.write(userId, [{ ...write, patch: {}, trashed: true }], { now: new Date(0) });
      const [found] = locked ?? [];
      if (!found?.matches) return found ?? null;
      await run("DELETE FROM tasks.tasks WHERE user_id = $1 AND id = $2", [userId, write.id]);
      return found;
    },
  };
}

/** Null when the same request had been done before. */
async function unlessRepeated<T>(write: Promise<T>): Promise<T | null> {
  try {
    return await write;
  } catch (error) {
    const cause = error instanceof UniqueConstraintError ? error.parent : error;
    if (cause instanceof Error && "detail" in cause && REPEATED.test(String(cause.detail))) return null;
    throw error;
  }
}
