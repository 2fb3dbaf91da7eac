import type { Run } from "../../mixins/statements.ts";
import type { TaskRow } from "./models/task.model.ts";

/** What is in the trash, and what leaves for good. */
export const createTrashQueries = (run: Run, columns: string) => ({
  /** The last deleted first; `after` is the last of the page before. */
  listTrash(
    userId: string,
    { after, limit }: { after: { deletedAt: string; id: string } | null; limit: number },
  ): Promise<TaskRow[]> {
    // Without a condition that everything meets: PostgreSQL would take it for one to look up.
    const earlier = after ? "AND (deleted_at, id) < ($3::timestamptz, $4::uuid)" : "";
    return run(
      `SELECT ${columns} FROM tasks.tasks WHERE user_id = $1 AND deleted_at IS NOT NULL ${earlier}
          ORDER BY deleted_at DESC, id DESC LIMIT $2`,
      [userId, limit, ...(after ? [after.deletedAt, after.id] : [])],
    );
  },

  /**
   * Erases what is in the trash, of one person or what has been there since before that moment, at most so many
   * tasks at a time.
   *
   * @returns what was erased, at the version that says so
   */
  eraseTrash({
    userId = null,
    before = null,
    limit,
  }: {
    userId?: string | null;
    before?: Date | null;
    limit: number;
  }): Promise<Pick<TaskRow, "userId" | "id" | "version">[]> {
    return run(
      `WITH old AS (
           SELECT user_id, id FROM tasks.tasks
            WHERE deleted_at IS NOT NULL
              AND ($1::uuid IS NULL OR user_id = $1) AND ($2::timestamptz IS NULL OR deleted_at < $2)
            ORDER BY user_id, id LIMIT $3 FOR UPDATE
         )
         DELETE FROM tasks.tasks t USING old WHERE t.user_id = old.user_id AND t.id = old.id
         RETURNING t.user_id AS "userId", t.id, t.version + 1 AS version`,
      [userId, before, limit],
      { inTime: true },
    );
  },

  /**
   * Removes some of a person's tasks or, when it finds none, some of their changes. It may miss what somebody else holds.
   *
   * @returns whether there was any
   */
  async removeSome(userId: string, limit: number): Promise<boolean> {
    // The outer user_id: in another partition, the same ctid is somebody else's row.
    const some = (table: string) => `DELETE FROM tasks.${table} WHERE user_id = $1 AND ctid = ANY(ARRAY(
        SELECT ctid FROM tasks.${table} WHERE user_id = $1 LIMIT $2)) RETURNING 1`;
    for (const table of ["tasks", "task_changes"]) {
      const removed = await run(some(table), [userId, limit]);
      if (removed.length > 0) return true;
    }
    return false;
  },

  /**
   * Removes what else there is of a person without tasks and changes: in a transaction, since nobody can write any while
   * the head of their log is held. Without it, the numbers of what was left would be given again.
   *
   * @returns whether that was all; false when there are tasks or changes
   */
  async removeRest(userId: string): Promise<boolean> {
    await run("SELECT FROM tasks.change_heads WHERE user_id = $1 FOR UPDATE", [userId]);
    const [left] = await run(
      `SELECT FROM tasks.tasks WHERE user_id = $1
       UNION ALL SELECT FROM tasks.task_changes WHERE user_id = $1 LIMIT 1`,
      [userId],
    );
    if (left) return false;
    await run(
      `WITH answers AS (DELETE FROM tasks.answers WHERE user_id = $1)
         DELETE FROM tasks.change_heads WHERE user_id = $1`,
      [userId],
    );
    return true;
  },
});
