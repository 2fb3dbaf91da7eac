import { QueryTypes, type Sequelize } from "sequelize";
import { ownedBy } from "./filters.sql.ts";

/** What is counted, in instants: rules of days and zones are the logic's. */
export interface StatsQuery {
  now: Date;
  today: { from: Date; to: Date };
  /** When each day begins, oldest first, and after them when the last one ends. */
  days: Date[];
}

export interface StatsRow {
  byStatus: { status: string; count: number }[];
  byPriority: { priority: number; count: number }[];
  overdue: number;
  dueToday: number;
  /** `day` counts from 1; a day on which nothing was done is not there. */
  completed: { day: number; count: number }[];
}

export type StatsRepository = ReturnType<typeof createStatsRepository>;

export function createStatsRepository(database: Sequelize) {
  return {
    /** One statement, so that all figures are of one moment. */
    async count(userId: string, { now, today, days }: StatsQuery): Promise<StatsRow> {
      const [row] = await database.query<StatsRow>(
        `WITH counted AS (
           SELECT status, priority, count(*)::int AS count,
                  count(*) FILTER (
                    WHERE status IN ('open', 'in_progress')
                      AND due_at < $2::timestamptz AND (due_on IS NULL OR due_at < $3::timestamptz)
                  )::int AS overdue,
                  count(*) FILTER (WHERE due_at >= $3::timestamptz AND due_at < $4::timestamptz)::int AS due_today
             FROM tasks.tasks
            WHERE ${ownedBy("$1")}
            GROUP BY status, priority
         ), done AS (
           SELECT width_bucket(completed_at, $5::timestamptz[]) AS day, count(*)::int AS count
             FROM tasks.tasks
            WHERE ${ownedBy("$1")} AND completed_at >= $6::timestamptz AND completed_at < $7::timestamptz
            GROUP BY day
         )
         SELECT coalesce((SELECT json_agg(s) FROM (
                  SELECT status, sum(count) AS count FROM counted GROUP BY status) s), '[]') AS "byStatus",
                coalesce((SELECT json_agg(p) FROM (
                  SELECT priority, sum(count) AS count FROM counted GROUP BY priority) p), '[]') AS "byPriority",
                (SELECT coalesce(sum(overdue), 0)::int FROM counted) AS overdue,
                (SELECT coalesce(sum(due_today), 0)::int FROM counted) AS "dueToday",
                coalesce((SELECT json_agg(done) FROM done), '[]') AS completed`,
        {
          bind: [
            userId,
            now,
            today.from,
            today.to,
            days.map((day) => day.toISOString()),
            days[0],
            days.at(-1),
          ],
          type: QueryTypes.SELECT,
        },
      );
      if (!row) throw new Error("An aggregate always has a row.");
      return row;
    },
  };
}
