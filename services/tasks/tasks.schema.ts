import Joi from "joi";
import { commaList, dateOrInstant, nothing } from "../../lib/schema.ts";
import { bulkActions } from "./bulk.schema.ts";
import { changeActions } from "./changes.schema.ts";
import {
  byId,
  type Conditions,
  conditions,
  newTask,
  type Priority,
  type Status,
  type Task,
  type TaskPatch,
  tag,
  taskFields,
  taskPatch,
  taskSchema,
} from "./task.schema.ts";
import { trashActions } from "./trash.schema.ts";

export const DUE_FILTERS = ["none", "any", "overdue", "today", "week"] as const;
export const SORT_FIELDS = ["createdAt", "updatedAt", "due", "priority", "title"] as const;
export type DueFilter = (typeof DUE_FILTERS)[number];
export type SortField = (typeof SORT_FIELDS)[number];
/** A field to sort by, `-` for descending. */
export type SortKey = SortField | `-${SortField}`;

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

const MAX_SORT_KEYS = 3;

const bound = (what: string): Joi.StringSchema =>
  dateOrInstant().description(`${what}: a date like \`2026-12-01\`, or an instant`).example("2026-12-01");

const listParams = Joi.object<ListParams, true>({
  status: commaList(taskFields.status).description("Any of these").example("open,in_progress"),
  priority: commaList(taskFields.priority).description("Any of these").example("high,urgent"),
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

/** What the tasks service's actions take and answer. */
export const taskActions = {
  create: {
    summary: "Create a task",
    scope: "tasks:write",
    params: newTask,
    defaults: ["description", "status", "priority", "due", "tags"],
    result: taskSchema,
  },
  list: {
    summary: "List your tasks",
    scope: "tasks:read",
    description:
      "Filters narrow the list down together. It comes in pages: ask for the next one with `cursor`, or follow the " +
      "`Link` header. No task is skipped or comes twice unless it moved itself.",
    params: listParams,
    defaults: ["sort", "limit"],
    result: Joi.object<TaskPage, true>({
      items: Joi.array().items(taskSchema).required(),
      nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
    }).meta({ title: "TaskPage" }),
    errors: ["invalid_cursor"],
  },
  get: {
    summary: "Read a task",
    scope: "tasks:read",
    params: Joi.object<{ id: string }, true>(byId),
    result: taskSchema,
    errors: ["not_found"],
  },
  update: {
    summary: "Change a task",
    scope: "tasks:write",
    description: "What is absent stays as it is. A patch that changes nothing leaves `version` alone.",
    params: Joi.object<{ id: string; patch: TaskPatch } & Conditions, true>({
      ...byId,
      patch: taskPatch.required(),
      ...conditions,
    }),
    result: taskSchema,
    errors: ["not_found"],
  },
  delete: {
    summary: "Delete a task",
    scope: "tasks:write",
    description: "It goes to the trash, from where it can be restored.",
    params: Joi.object<{ id: string } & Conditions, true>({ ...byId, ...conditions }),
    result: nothing(),
    errors: ["not_found"],
  },
  ...trashActions,
  ...changeActions,
  ...bulkActions,
  eraseAll: {
    summary: "Erase everything that the service holds of a deleted person",
    client: "auth",
    params: Joi.object<Record<string, never>, true>({}),
    result: nothing(),
  },
} as const;
