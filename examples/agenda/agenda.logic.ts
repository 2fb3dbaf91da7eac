import type { ParamsOf, ResultOf } from "../../lib/bus.ts";
import type {} from "../../services/bus.ts"; // the compiler learns what tasks.list takes and answers
import type { Agenda, Task } from "./agenda.schema.ts";

/** Tasks in either list, at most: an agenda is read at a glance. */
const MAX_TASKS = 100;

type Listed = Pick<ResultOf<"tasks.list">["items"][number], keyof Task>;

/** What the agenda needs of `tasks.list`. */
export type ListTasks = (filter: ParamsOf<"tasks.list">) => Promise<{ items: Listed[] }>;

/** A person's day, from two lists of their unfinished tasks. */
export async function readAgenda(listTasks: ListTasks): Promise<Agenda> {
  const list = (due: "overdue" | "today") =>
    listTasks({ due, status: ["open", "in_progress"], sort: ["due"], limit: MAX_TASKS });
  const [overdue, today] = await Promise.all([list("overdue"), list("today")]);
  // What was due at nine this morning is in both.
  const late = new Set(overdue.items.map(({ id }) => id));
  return {
    overdue: overdue.items.flatMap(toAgendaTask),
    today: today.items.filter(({ id }) => !late.has(id)).flatMap(toAgendaTask),
  };
}

/** Tasks of these lists have all of that, since no `fields` are asked for; which their type does not say. */
const toAgendaTask = ({ id, title, priority, due }: Listed): Task[] =>
  title === undefined || priority === undefined || !due ? [] : [{ id, title, priority, due }];
