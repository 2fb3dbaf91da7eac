import Joi from "joi";
import { type Priority, type Status, taskFields } from "./task.schema.ts";

export const DUE_FILTERS = ["none", "any", "overdue", "today", "week"] as const;
export type DueFilter = (typeof DUE_FILTERS)[number];

/** How a list was read; every instant in UTC. */
export interface Explanation {
  timeZone: string;
  now: string;
  filter: {
    status?: Status[];
    priority?: Priority[];
    tag?: string[];
    q?: string;
    due?: {
      is: DueFilter;
      from?: string;
      to?: string;
      before?: string;
      allDayBefore?: string;
      status?: readonly Status[];
    };
    dueFrom?: string;
    dueTo?: string;
    createdFrom?: string;
    createdTo?: string;
    updatedFrom?: string;
    updatedTo?: string;
    completedFrom?: string;
    completedTo?: string;
  };
  sort: string[];
  search?: { words: string[] };
}

const instant = (description: string): Joi.StringSchema =>
  Joi.string().isoDate().description(description).example("2026-12-01T00:00:00.000Z");

export const explanation = Joi.object<Explanation, true>({
  timeZone: Joi.string().required().description("Yours: it says when days begin").example("Europe/Berlin"),
  now: Joi.string().isoDate().required().description("When the list was made"),
  filter: Joi.object<Explanation["filter"], true>({
    status: Joi.array().items(taskFields.status).example(["open"]),
    priority: Joi.array().items(taskFields.priority).example(["high", "urgent"]),
    tag: Joi.array().items(Joi.string()).example(["home"]),
    q: Joi.string().example("Milk!"),
    due: Joi.object({
      is: Joi.string()
        .valid(...DUE_FILTERS)
        .required()
        .example("today"),
      from: instant("`today`, `week`: due at or after"),
      to: instant("`today`, `week`: due before"),
      before: instant("`overdue`: due before this, which is now"),
      allDayBefore: instant("`overdue`: for all-day tasks, which are due all of today"),
      status: Joi.array()
        .items(taskFields.status)
        .description("`overdue`: with one of these")
        .example(["open", "in_progress"]),
    }),
    dueFrom: instant("Inclusive"),
    dueTo: instant("Exclusive"),
    createdFrom: instant("Inclusive"),
    createdTo: instant("Exclusive"),
    updatedFrom: instant("Inclusive"),
    updatedTo: instant("Exclusive"),
    completedFrom: instant("Inclusive"),
    completedTo: instant("Exclusive"),
  })
    .required()
    .description("Only what was asked for; dates as the instants that they begin at")
    .example({ status: ["open"], dueFrom: "2026-11-30T23:00:00.000Z" }),
  sort: Joi.array()
    .items(Joi.string())
    .required()
    .description("`relevance` is that of `q`; the last one breaks ties")
    .example(["-relevance", "-createdAt", "-id"]),
  search: Joi.object({ words: Joi.array().items(Joi.string()).required().example(["milk"]) }).description(
    "The words that `q` was read as; all must be found",
  ),
}).meta({ title: "Explanation" });
