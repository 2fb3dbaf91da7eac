import { Temporal } from "temporal-polyfill";
import type { DueFilter } from "./explain.schema.ts";

/** A due time as it is kept. An all-day one has its date, and the beginning of that day in a time zone. */
export interface Due {
  dueOn: string | null;
  dueZone: string | null;
  dueAt: Date | null;
}

/** Instants, from inclusive and to exclusive. */
export interface Range {
  from?: Date;
  to?: Date;
}

const DAYS_IN_WEEK = 7;

const isDate = (value: string): boolean => !value.includes("T");

/** The first and last instant with a year of four digits, which is what a date may have: 0001 to 9999. */
const EARLIEST = Date.parse("0001-01-01T00:00:00.000Z");
const LATEST = Date.parse("9999-12-31T23:59:59.999Z");

/** When a date begins for somebody in that time zone; not always at midnight, where clocks change then. */
export function startOfDay(date: string, timeZone: string): Date {
  const begins = Temporal.PlainDate.from(date).toZonedDateTime(timeZone).startOfDay().epochMilliseconds;
  // The first day begins in the year 0 east of Greenwich, the last in 10000 west of it: PostgreSQL reads neither.
  return new Date(Math.min(Math.max(begins, EARLIEST), LATEST));
}

const instantOf = (value: string, timeZone: string): Date =>
  isDate(value) ? startOfDay(value, timeZone) : new Date(value);

export function readDue(due: string | null, timeZone: string): Due {
  if (due === null) return { dueOn: null, dueZone: null, dueAt: null };
  const dueAt = instantOf(due, timeZone);
  return isDate(due) ? { dueOn: due, dueZone: timeZone, dueAt } : { dueOn: null, dueZone: null, dueAt };
}

/** What was sent as a date comes back as a date. */
export const toDueView = ({ dueOn, dueAt }: Pick<Due, "dueOn" | "dueAt">): string | null =>
  dueOn ?? dueAt?.toISOString() ?? null;

export function readRange(from: string | undefined, to: string | undefined, timeZone: string): Range {
  return {
    ...(from === undefined ? {} : { from: instantOf(from, timeZone) }),
    ...(to === undefined ? {} : { to: instantOf(to, timeZone) }),
  };
}

/** What a due filter asks of a task, in instants. */
export interface DueCondition {
  /** Whether there must be a due time. */
  present?: boolean;
  range?: Range;
  /** Past: before `now`, or for all-day tasks before `today`, and not finished. */
  overdue?: { now: Date; today: Date };
}

export function readDueFilter(filter: DueFilter, now: Date, timeZone: string): DueCondition {
  const today = Temporal.Instant.fromEpochMilliseconds(now.getTime())
    .toZonedDateTimeISO(timeZone)
    .toPlainDate();
  const dayAfter = (days: number): Date => startOfDay(today.add({ days }).toString(), timeZone);
  switch (filter) {
    case "none":
      return { present: false };
    case "any":
      return { present: true };
    case "overdue":
      return { overdue: { now, today: dayAfter(0) } };
    case "today":
      return { range: { from: dayAfter(0), to: dayAfter(1) } };
    case "week":
      return { range: { from: dayAfter(0), to: dayAfter(DAYS_IN_WEEK) } };
  }
}
