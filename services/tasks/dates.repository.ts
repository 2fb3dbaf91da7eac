import type { Run } from "../../mixins/statements.ts";

/** All-day tasks, whose date becomes a moment by the person's time zone. */
export const createDateQueries = (run: Run) => ({
  /** Some of the all-day tasks whose `dueAt` belongs to another time zone, in no order. */
  datesOutside(userId: string, timeZone: string, limit: number): Promise<{ id: string; dueOn: string }[]> {
    return run(
      `SELECT id, due_on AS "dueOn" FROM tasks.tasks
        WHERE user_id = $1 AND due_on IS NOT NULL AND (due_zone < $2 OR due_zone > $2) LIMIT $3`,
      [userId, timeZone, limit],
    );
  },

  /** Sets when these all-day tasks are due in a time zone. No change of the task: its date stays. */
  async moveDates(
    userId: string,
    timeZone: string,
    moves: { id: string; dueOn: string; dueAt: Date }[],
  ): Promise<void> {
    await run(
      `WITH outside AS (
         SELECT id FROM tasks.tasks
          WHERE user_id = $1 AND id = ANY ($3::uuid[]) AND due_zone <> $2 ORDER BY id FOR UPDATE
       )
       UPDATE tasks.tasks t SET due_at = move.due_at, due_zone = $2
         FROM unnest($3::uuid[], $4::date[], $5::timestamptz[]) AS move (id, due_on, due_at) JOIN outside USING (id)
        WHERE t.user_id = $1 AND t.id = move.id AND t.due_on = move.due_on`,
      [
        userId,
        timeZone,
        moves.map(({ id }) => id),
        moves.map(({ dueOn }) => dueOn),
        moves.map(({ dueAt }) => dueAt.toISOString()),
      ],
    );
  },
});
