import type { Run } from "../../mixins/statements.ts";

/** All-day tasks, whose date becomes a moment by the person's time zone. */
export const createDateQueries = (run: Run) => ({
  /** The dates of all-day tasks whose `dueAt` belongs to another time zone. */
  async datesOutside(userId: string, timeZone: string): Promise<string[]> {
    const found = await run<{ dueOn: string }>(
      `SELECT DISTINCT due_on AS "dueOn" FROM tasks.tasks
        WHERE user_id = $1 AND due_on IS NOT NULL AND (due_zone < $2 OR due_zone > $2)`,
      [userId, timeZone],
    );
    return found.map(({ dueOn }) => dueOn);
  },

  /** Sets when all-day tasks are due in a time zone. No change of the task: its date stays. */
  async moveDates(userId: string, timeZone: string, days: { dueOn: string; dueAt: Date }[]): Promise<void> {
    await run(
      `WITH outside AS (
         SELECT id FROM tasks.tasks
          WHERE user_id = $1 AND due_on IS NOT NULL AND due_zone <> $2 ORDER BY id FOR UPDATE
       )
       UPDATE tasks.tasks t SET due_at = day.due_at, due_zone = $2
         FROM unnest($3::date[], $4::timestamptz[]) AS day (due_on, due_at), outside
        WHERE t.user_id = $1 AND t.id = outside.id AND t.due_on = day.due_on`,
      [userId, timeZone, days.map((day) => day.dueOn), days.map((day) => day.dueAt.toISOString())],
    );
  },
});
