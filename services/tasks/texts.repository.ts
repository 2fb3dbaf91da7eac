import type { Run } from "../../mixins/statements.ts";

/** Texts that were too much to read in the transaction that wrote them: the search finds these tasks by their titles only. */
export const createTextQueries = (run: Run) => ({
  /**
   * Reads some of anybody's, unless somebody else does: however many nodes there are, one of PostgreSQL's processes is busy
   * with it. What somebody holds is left for the next time, and nobody changes a task meanwhile: its text would be read
   * as it was.
   *
   * @returns how many
   */
  async readTexts(limit: number): Promise<number> {
    const read = await run(
      `WITH turn AS MATERIALIZED (
         SELECT pg_try_advisory_xact_lock(hashtext('tasks.unread_texts')) AS is_ours
       ), taken AS (
         SELECT task.user_id, task.id, task.title, task.tags, task.description
           FROM tasks.unread_texts unread JOIN tasks.tasks task USING (user_id, id)
          WHERE (SELECT is_ours FROM turn)
          LIMIT $1 FOR UPDATE OF unread, task SKIP LOCKED
       ), found_by AS (
         UPDATE tasks.task_texts texts
            SET words = tasks.search_vector(taken.user_id, taken.title, taken.tags, taken.description)
           FROM taken WHERE texts.user_id = taken.user_id AND texts.id = taken.id
       )
       DELETE FROM tasks.unread_texts unread USING taken
        WHERE unread.user_id = taken.user_id AND unread.id = taken.id RETURNING 1`,
      [limit],
    );
    return read.length;
  },
});
