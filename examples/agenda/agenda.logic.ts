import type { Agenda, Task } from "./agenda.schema.ts";

/** Tasks in either list, at most: an agenda is read at a glance. */
const MAX_TASKS = 100;

/** What the agenda needs of `tasks.list`. */
export type ListTasks = (filter: {
  due: "overdue" | "today";
  status: string[];
  sort: string[];
  limit: number;
}) => Promise<{ items: Task[] }>;

/** A person's day, from two lists of their unfinished tasks. */
export async function readAgenda(listTasks: ListTasks): Promise<Agenda> {
  const list = (due: "overdue" | "today") =>
    listTasks({ due, status: ["open", "in_progress"], sort: ["due"], limit: MAX_TASKS });
  const [overdue, today] = await Promise.all([list("overdue"), list("today")]);
  // What was due at nine this morning is in both.
  const late = new Set(overdue.items.map(({ id }) => id));
  return {
    overdue: overdue.items.map(toAgendaTask),
    today: today.items.filter(({ id }) => !late.has(id)).map(toAgendaTask),
  };
}

const toAgendaTask = ({ id, title, priority, due }: Task): Task => ({ id, title, priority, due });
