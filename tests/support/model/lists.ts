import { Temporal } from "temporal-polyfill";
import { exact } from "./moments.ts";
import { current, type ModelPerson, type ModelTask, PRIORITIES, placeOf } from "./rules.ts";

/** A list as it is asked for, without its page: names and texts of the query string. */
export type Query = Record<string, string>;

/** When a date begins for this person, or the instant itself; milliseconds. */
function instantOf(value: string, timeZone: string): number {
  if (value.includes("T")) return Date.parse(value);
  return Temporal.PlainDate.from(value).toZonedDateTime(timeZone).startOfDay().epochMilliseconds;
}

/** Whether a task belongs to the list. */
export function belongs(task: ModelTask, query: Query, { timeZone }: ModelPerson, now: number): boolean {
  if (placeOf(task) !== "list") return false;
  const { status, priority, tags, due, completedAt, at } = current(task);
  const dueAt = due === null ? null : instantOf(due, timeZone);
  const within = (name: string, time: number | null): boolean => {
    const [from, to] = [query[`${name}From`], query[`${name}To`]];
    if (from === undefined && to === undefined) return true;
    if (time === null) return false;
    return (
      (from === undefined || time >= instantOf(from, timeZone)) &&
      (to === undefined || time < instantOf(to, timeZone))
    );
  };
  const today = Temporal.Instant.fromEpochMilliseconds(now).toZonedDateTimeISO(timeZone).toPlainDate();
  const dayIn = (days: number): number => instantOf(today.add({ days }).toString(), timeZone);
  const filters: Record<string, () => boolean> = {
    none: () => dueAt === null,
    any: () => dueAt !== null,
    today: () => dueAt !== null && dueAt >= dayIn(0) && dueAt < dayIn(1),
    week: () => dueAt !== null && dueAt >= dayIn(0) && dueAt < dayIn(7),
    overdue: () =>
      due !== null &&
      (due.includes("T") ? Date.parse(due) < now : due < today.toString()) &&
      (status === "open" || status === "in_progress"),
  };
  const isOneOf = (name: string, values: string[]): boolean =>
    query[name]?.split(",").some((each) => values.includes(each)) ?? true;
  return (
    isOneOf("status", [status]) &&
    isOneOf("priority", [priority]) &&
    isOneOf("tag", tags) &&
    (query.due === undefined || filters[query.due]?.() === true) &&
    within("due", dueAt) &&
    within("created", exact(task.createdAt)) &&
    within("updated", exact(at)) &&
    within("completed", completedAt && exact(completedAt))
  );
}

/** Bounds that leave nothing between them: such a list is refused, since nobody can mean it. */
export function emptyRanges(query: Query, { timeZone }: ModelPerson): string[] {
  return ["due", "created", "updated", "completed"]
    .filter((name) => {
      const [from, to] = [query[`${name}From`], query[`${name}To`]];
      if (from === undefined || to === undefined) return false;
      return instantOf(from, timeZone) >= instantOf(to, timeZone);
    })
    .map((name) => `${name}To`);
}

/** Negative when the first comes before the second, 0 when the list may have them either way. */
export function compare(a: ModelTask, b: ModelTask, query: Query, { timeZone }: ModelPerson): number {
  for (const key of (query.sort ?? "-createdAt").split(",")) {
    const name = key.replace("-", "");
    const order = compareBy(name, a, b, timeZone);
    const [dueA, dueB] = [current(a).due, current(b).due];
    // What has no due time comes last in both directions.
    const fixed = name === "due" && (dueA === null || dueB === null);
    if (order !== 0) return key.startsWith("-") && !fixed ? -order : order;
  }
  return 0;
}

function compareBy(name: string, a: ModelTask, b: ModelTask, timeZone: string): number {
  const [now, other] = [current(a), current(b)];
  switch (name) {
    case "createdAt":
      return exact(a.createdAt) - exact(b.createdAt);
    case "updatedAt":
      return exact(now.at) - exact(other.at);
    case "priority":
      return PRIORITIES.indexOf(now.priority) - PRIORITIES.indexOf(other.priority);
    case "title":
      return Buffer.compare(Buffer.from(now.title.toLowerCase()), Buffer.from(other.title.toLowerCase()));
    default: {
      const [first, second] = [now.due, other.due].map((due) => due && instantOf(due, timeZone));
      if (typeof first === "number" && typeof second === "number") return first - second;
      return Number(typeof first !== "number") - Number(typeof second !== "number");
    }
  }
}
