import { type Violation, validationFailed } from "../../lib/errors.ts";
import { type DueCondition, type Range, readDueFilter, readRange } from "./due.logic.ts";
import type { Explanation } from "./explain.schema.ts";
import { type ListParams, RANGES, type RangeField } from "./list.schema.ts";
import { PRIORITIES, type Status } from "./task.schema.ts";

/** What a list holds, in the terms of the database. */
export interface TaskFilter {
  status?: Status[];
  priority?: number[];
  tag?: string[];
  /** Text to search for. */
  q?: string;
  due: DueCondition[];
  created: Range;
  updated: Range;
  completed: Range;
}

/**
 * Reads a filter for somebody in a time zone.
 *
 * @throws validation_failed naming every range that ends where it begins or before: nothing could ever be in it
 */
export function readFilter(params: ListParams, now: Date, timeZone: string): TaskFilter {
  const empty = RANGES.flatMap((field) => emptyRange(params, field, timeZone));
  if (empty.length > 0) throw validationFailed(empty);
  const { status, priority, tag, q, due } = params;
  const within = rangeOf(params, "due", timeZone);
  return {
    ...(status ? { status } : {}),
    ...(priority ? { priority: priority.map((name) => PRIORITIES.indexOf(name)) } : {}),
    ...(tag ? { tag } : {}),
    ...(q === undefined ? {} : { q }),
    due: [
      ...(due === undefined ? [] : [readDueFilter(due, now, timeZone)]),
      ...(within.from || within.to ? [{ range: within }] : []),
    ],
    created: rangeOf(params, "created", timeZone),
    updated: rangeOf(params, "updated", timeZone),
    completed: rangeOf(params, "completed", timeZone),
  };
}

const rangeOf = (params: ListParams, field: RangeField, timeZone: string): Range =>
  readRange(params[`${field}From`], params[`${field}To`], timeZone);

function emptyRange(params: ListParams, field: RangeField, timeZone: string): Violation[] {
  const [from, to] = [params[`${field}From`], params[`${field}To`]];
  if (from === undefined || to === undefined) return [];
  const { from: begins, to: ends } = readRange(from, to, timeZone);
  // Two dates are judged as dates: a day that a country left out is empty, but no mistake of who asks for it.
  const dates = !from.includes("T") && !to.includes("T");
  if (dates ? from < to : begins && ends && begins < ends) return [];
  const detail = `"${field}To" must be later than "${field}From": the first instant that is left out comes after one that is in.`;
  return [{ path: [`${field}To`], code: "empty_range", detail }];
}

/** How a filter was read: the instants that its words and dates stand for. */
export function explainFilter(
  params: ListParams,
  filter: TaskFilter,
  now: Date,
  timeZone: string,
): Explanation["filter"] {
  const instants = RANGES.flatMap((field) => {
    const { from, to } = rangeOf(params, field, timeZone);
    return [
      ...(from ? [[`${field}From`, from.toISOString()] as const] : []),
      ...(to ? [[`${field}To`, to.toISOString()] as const] : []),
    ];
  });
  const { status, priority, tag, due } = params;
  return {
    ...(status ? { status } : {}),
    ...(priority ? { priority } : {}),
    ...(tag ? { tag } : {}),
    ...(filter.q === undefined ? {} : { q: filter.q }),
    ...(due === undefined ? {} : { due: { is: due, ...explainDue(readDueFilter(due, now, timeZone)) } }),
    ...Object.fromEntries(instants),
  };
}

function explainDue({ range, overdue }: DueCondition): Omit<Explanation["filter"]["due"] & object, "is"> {
  return {
    ...(range?.from ? { from: range.from.toISOString() } : {}),
    ...(range?.to ? { to: range.to.toISOString() } : {}),
    ...(overdue
      ? {
          before: overdue.now.toISOString(),
          allDayBefore: overdue.today.toISOString(),
          status: ["open", "in_progress"] as const,
        }
      : {}),
  };
}
