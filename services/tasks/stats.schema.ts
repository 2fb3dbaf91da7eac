import Joi from "joi";
import { noParams } from "../../lib/schema.ts";
import type { Priority, Status } from "./task.schema.ts";

export interface Stats {
  byStatus: Record<Status, number>;
  byPriority: Record<Priority, number>;
  overdue: number;
  dueToday: number;
  /** Thirty days, oldest first; the last one is today. */
  completedPerDay: { date: string; count: number }[];
}

const count = (example: number): Joi.NumberSchema =>
  Joi.number().integer().min(0).required().example(example);

const stats = Joi.object<Stats, true>({
  byStatus: Joi.object<Stats["byStatus"], true>({
    open: count(12),
    in_progress: count(3),
    done: count(240),
    cancelled: count(5),
  }).required(),
  byPriority: Joi.object<Stats["byPriority"], true>({
    none: count(200),
    low: count(20),
    medium: count(20),
    high: count(15),
    urgent: count(5),
  }).required(),
  overdue: count(2).description("As `due=overdue` lists them: past, and neither done nor cancelled"),
  dueToday: count(4).description("As `due=today` lists them, whatever their status"),
  completedPerDay: Joi.array()
    .items(
      Joi.object({
        date: Joi.string().required().example("2026-11-22").meta({ format: "date" }),
        count: count(7),
      }),
    )
    .required()
    .description(
      "Tasks that are done, by the day they became so: the last 30 days, oldest first, today among them",
    ),
}).meta({ title: "Stats" });

export const statsActions = {
  stats: {
    summary: "Count your tasks",
    scope: "tasks:read",
    description: "All figures are of one moment. Days begin and end in your time zone.",
    params: noParams(),
    result: stats,
  },
} as const;
