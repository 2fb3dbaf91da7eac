import { Temporal } from "temporal-polyfill";
import type { Identity } from "../../lib/passport.ts";
import { readDueFilter, startOfDay } from "./due.logic.ts";
import type { StatsRepository } from "./stats.repository.ts";
import type { Stats } from "./stats.schema.ts";
import { PRIORITIES, type Priority } from "./task.schema.ts";
import type { Turns } from "./turns.logic.ts";

type Caller = Pick<Identity, "userId" | "timeZone">;

interface StatsLogicOptions {
  stats: StatsRepository;
  /** Makes all-day tasks due when their day begins where the person is now. */
  settleDates: (caller: Caller) => Promise<void>;
  longReads: Turns;
  clock: () => number;
}

const DAYS = 30;

/** Figures over all tasks of a person, for whom days begin and end in their own time zone. */
export function createStatsLogic({ stats, settleDates, longReads, clock }: StatsLogicOptions) {
  return {
    async read(caller: Caller): Promise<Stats> {
      const { userId, timeZone } = caller;
      const now = new Date(clock());
      const dates = lastDates(now, timeZone);
      const { range } = readDueFilter("today", now, timeZone);
      const [from, to] = [range?.from ?? now, range?.to ?? now];
      const days = [...dates.map((date) => startOfDay(date, timeZone)), to];
      await settleDates(caller);

      const row = await longReads.inTurn(userId, () =>
        stats.count(userId, { now, today: { from, to }, days }),
      );
      const statuses = new Map(row.byStatus.map(({ status, count }) => [status, count]));
      const priorities = new Map(row.byPriority.map(({ priority, count }) => [priority, count]));
      const withPriority = (name: Priority): number => priorities.get(PRIORITIES.indexOf(name)) ?? 0;
      const completed = new Map(row.completed.map(({ day, count }) => [day, count]));
      return {
        byStatus: {
          open: statuses.get("open") ?? 0,
          in_progress: statuses.get("in_progress") ?? 0,
          done: statuses.get("done") ?? 0,
          cancelled: statuses.get("cancelled") ?? 0,
        },
        byPriority: {
          none: withPriority("none"),
          low: withPriority("low"),
          medium: withPriority("medium"),
          high: withPriority("high"),
          urgent: withPriority("urgent"),
        },
        overdue: row.overdue,
        dueToday: row.dueToday,
        completedPerDay: dates.map((date, index) => ({ date, count: completed.get(index + 1) ?? 0 })),
      };
    },
  };
}

/** Today there and the dates before it, oldest first. */
function lastDates(now: Date, timeZone: string): string[] {
  const today = Temporal.Instant.fromEpochMilliseconds(now.getTime())
    .toZonedDateTimeISO(timeZone)
    .toPlainDate();
  return Array.from({ length: DAYS }, (_, index) => today.subtract({ days: DAYS - 1 - index }).toString());
}
