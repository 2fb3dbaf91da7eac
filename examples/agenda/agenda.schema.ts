import Joi from "joi";
import type { ActionsOf } from "../../lib/bus.ts";
import { uuid } from "../../lib/schema.ts";

/** What an agenda says of a task. */
export interface Task {
  id: string;
  title: string;
  priority: "none" | "low" | "medium" | "high" | "urgent";
  /** A date or an instant. */
  due: string;
}

export interface Agenda {
  /** What should be done by now, the oldest first. */
  overdue: Task[];
  /** What is due in the rest of the day, in the person's time zone. */
  today: Task[];
}

const tasks = Joi.array().items(
  Joi.object<Task, true>({
    id: uuid().required(),
    title: Joi.string().required().example("Buy oat milk"),
    priority: Joi.string().valid("none", "low", "medium", "high", "urgent").required(),
    due: Joi.string().required().example("2026-12-01"),
  }),
);

/** What the agenda service's actions take and answer. */
export const agendaActions = {
  today: {
    summary: "Read what is overdue and what is due today",
    scope: "tasks:read",
    params: Joi.object<Record<string, never>, true>({}),
    result: Joi.object<Agenda, true>({ overdue: tasks.required(), today: tasks.required() }).meta({
      title: "Agenda",
    }),
  },
} as const;

/** From here on, who calls `agenda.today` is told by the compiler what comes back. */
declare module "../../lib/bus.ts" {
  interface Actions extends ActionsOf<"agenda", typeof agendaActions> {}
}
