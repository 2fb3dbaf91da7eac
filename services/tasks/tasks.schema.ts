import Joi from "joi";
import { commaList, DATE_OR_INSTANT, dateOrInstant, text, uuid } from "../../lib/schema.ts";

export const STATUSES = ["open", "in_progress", "done", "cancelled"] as const;
/** In the order they sort. */
export const PRIORITIES = ["none", "low", "medium", "high", "urgent"] as const;
export const DUE_FILTERS = ["none", "any", "overdue", "today", "week"] as const;
export const SORT_FIELDS = ["createdAt", "updatedAt", "due", "priority", "title"] as const;

export type Status = (typeof STATUSES)[number];
export type Priority = (typeof PRIORITIES)[number];
export type DueFilter = (typeof DUE_FILTERS)[number];
export type SortField = (typeof SORT_FIELDS)[number];
/** A field to sort by, `-` for descending. */
export type SortKey = SortField | `-${SortField}`;

export interface Task {
  id: string;
  userId: string;
  title: string;
  description: string;
  status: Status;
  priority: Priority;
  /** A date (all day, in the person's time zone), an instant, or null. */
  due: string | null;
  tags: string[];
  completedAt: string | null;
  version: number;
  createdAt: string;
  updatedAt: string;
}

export interface NewTask {
  title: string;
  description: string;
  status: Status;
  priority: Priority;
  due: string | null;
  tags: string[];
}

export type TaskPatch = Partial<NewTask>;

/** Every bound is a date (its beginning in the person's time zone) or an instant; from inclusive, to exclusive. */
export interface ListParams {
  status?: Status[];
  priority?: Priority[];
  /** Tasks with any of these. */
  tag?: string[];
  due?: DueFilter;
  dueFrom?: string;
  dueTo?: string;
  createdFrom?: string;
  createdTo?: string;
  updatedFrom?: string;
  updatedTo?: string;
  completedFrom?: string;
  completedTo?: string;
  sort: SortKey[];
  limit: number;
  cursor?: string;
}

export interface TaskPage {
  items: Task[];
  nextCursor: string | null;
}

const MAX_TITLE = 200;
const MAX_DESCRIPTION = 20_000;
const MAX_TAGS = 20;
const MAX_TAG = 50;
const MAX_SORT_KEYS = 3;

/** Characters as people count them, near enough: code points, where Joi counts UTF-16 units. */
const characters = (max: number): Joi.StringSchema =>
  text().custom((value: string, helpers) =>
    value.length > max && [...value].length > max ? helpers.error("string.max", { limit: max }) : value,
  );

const tag = characters(MAX_TAG).trim().min(1).example("home").meta({ maxLength: MAX_TAG });

const fields = {
  title: characters(MAX_TITLE).trim().min(1).example("Buy oat milk").meta({ maxLength: MAX_TITLE }),
  description: characters(MAX_DESCRIPTION)
    .allow("")
    .example("The one in the blue carton")
    .meta({ maxLength: MAX_DESCRIPTION }),
  status: Joi.string()
    .valid(...STATUSES)
    .example("open"),
  priority: Joi.string()
    .valid(...PRIORITIES)
    .example("high"),
  due: dateOrInstant()
    .allow(null)
    .description("A date is all day in your time zone, an instant is that moment; null clears it")
    .example("2026-12-01"),
  tags: Joi.array().items(tag).max(MAX_TAGS).unique().example(["home", "shopping"]),
};

const task = Joi.object<Task, true>({
  id: uuid().required(),
  userId: uuid().required().example("01a202a9-7840-7b21-8f3e-6c5d4b3a2918"),
  title: Joi.string().required().example("Buy oat milk"),
  description: Joi.string().allow("").required().example("The one in the blue carton"),
  status: Joi.string()
    .valid(...STATUSES)
    .required(),
  priority: Joi.string()
    .valid(...PRIORITIES)
    .required()
    .example("high"),
  due: Joi.string()
    .allow(null)
    .required()
    .description("A date as it was sent, or an instant in UTC with milliseconds")
    .example("2026-12-01")
    .meta({ pattern: DATE_OR_INSTANT }),
  tags: Joi.array().items(Joi.string()).required().example(["home", "shopping"]),
  completedAt: Joi.string().isoDate().allow(null).required().example(null),
  version: Joi.number().integer().min(1).required().example(1).description("Goes up by one at each change"),
  createdAt: Joi.string().isoDate().required(),
  updatedAt: Joi.string().isoDate().required(),
}).meta({ title: "Task" });

const bound = (what: string): Joi.StringSchema =>
  dateOrInstant().description(`${what}: a date like \`2026-12-01\`, or an instant`).example("2026-12-01");

const listParams = Joi.object<ListParams, true>({
  status: commaList(fields.status).description("Any of these").example("open,in_progress"),
  priority: commaList(fields.priority).description("Any of these").example("high,urgent"),
  tag: commaList(tag).description("Tasks with any of these").example("home"),
  due: Joi.string()
    .valid(...DUE_FILTERS)
    .description(
      "`none`: without a due time. `any`: with one. `overdue`: past, and neither done nor cancelled. " +
        "`today`, `week`: today, or today and the six days after it, in your time zone",
    ),
  dueFrom: bound("Due at or after"),
  dueTo: bound("Due before"),
  createdFrom: bound("Created at or after"),
  createdTo: bound("Created before"),
  updatedFrom: bound("Changed at or after"),
  updatedTo: bound("Changed before"),
  completedFrom: bound("Done at or after"),
  completedTo: bound("Done before"),
  sort: commaList(Joi.string().valid(...SORT_FIELDS, ...SORT_FIELDS.map((field) => `-${field}` as const)))
    .max(MAX_SORT_KEYS)
    .unique((a: string, b: string) => a.replace("-", "") === b.replace("-", ""))
    .default(["-createdAt"])
    .description("Up to three fields, `-` for descending; tasks without a due time come last either way")
    .example("-priority,due"),
  limit: Joi.number().integer().min(1).max(100).default(20).description("Tasks in a page"),
  cursor: Joi.string()
    .max(2048)
    .description("`nextCursor` of the page before, with the same filter and sort")
    .example("Yx0Rk3…"),
});

const byId = Joi.object<{ id: string }, true>({ id: uuid().required() });

/** What the tasks service's actions take and answer. */
export const taskActions = {
  create: {
    summary: "Create a task",
    scope: "tasks:write",
    params: Joi.object<NewTask, true>({
      title: fields.title.required(),
      description: fields.description.default(""),
      status: fields.status.default("open"),
      priority: fields.priority.default("none"),
      due: fields.due.default(null),
      tags: fields.tags.default([]),
    }).meta({ title: "NewTask" }),
    result: task,
  },
  list: {
    summary: "List your tasks",
    scope: "tasks:read",
    description:
      "Filters narrow the list down together. It comes in pages: ask for the next one with `cursor`, or follow the " +
      "`Link` header. No task is skipped or comes twice unless it moved itself.",
    params: listParams,
    result: Joi.object<TaskPage, true>({
      items: Joi.array().items(task).required(),
      nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
    }).meta({ title: "TaskPage" }),
    errors: ["invalid_cursor"],
  },
  get: { summary: "Read a task", scope: "tasks:read", params: byId, result: task, errors: ["not_found"] },
  update: {
    summary: "Change a task",
    scope: "tasks:write",
    description: "What is absent stays as it is. A patch that changes nothing leaves `version` alone.",
    params: Joi.object<{ id: string; patch: TaskPatch }, true>({
      id: uuid().required(),
      patch: Joi.object<TaskPatch, true>(fields)
        .required()
        .description("JSON merge patch (RFC 7396): what is absent stays as it is")
        .example({ status: "done" })
        .meta({ title: "TaskPatch" }),
    }),
    result: task,
    errors: ["not_found"],
  },
  delete: {
    summary: "Delete a task",
    scope: "tasks:write",
    params: byId,
    result: Joi.valid(null),
    errors: ["not_found"],
  },
  eraseAll: {
    summary: "Erase everything that the service holds of a deleted person",
    client: "auth",
    params: Joi.object<Record<string, never>, true>({}),
    result: Joi.valid(null),
  },
} as const;
