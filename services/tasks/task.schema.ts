import Joi from "joi";
import { commaList, DATE_OR_INSTANT, dateOrInstant, text, uuid } from "../../lib/schema.ts";

export const STATUSES = ["open", "in_progress", "done", "cancelled"] as const;
/** In the order they sort. */
export const PRIORITIES = ["none", "low", "medium", "high", "urgent"] as const;

const TASK_FIELDS = [
  "id",
  "userId",
  "title",
  "description",
  "status",
  "priority",
  "due",
  "tags",
  "completedAt",
  "version",
  "createdAt",
  "updatedAt",
] as const;

export type Status = (typeof STATUSES)[number];
export type Priority = (typeof PRIORITIES)[number];

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

export type TaskField = (typeof TASK_FIELDS)[number];
/** A task, or the fields of it that were asked for. */
export type SparseTask = Pick<Task, "id" | "version"> & Partial<Task>;

export interface NewTask {
  title: string;
  description: string;
  status: Status;
  priority: Priority;
  due: string | null;
  tags: string[];
}

export type TaskPatch = Partial<NewTask>;

const MAX_TITLE = 200;
const MAX_DESCRIPTION = 20_000;
const MAX_TAGS = 20;
const MAX_TAG = 50;

/** Characters as people count them, near enough: code points, where Joi counts UTF-16 units. */
export const characters = (max: number): Joi.StringSchema =>
  text().custom((value: string, helpers) =>
    value.length > max && [...value].length > max ? helpers.error("string.max", { limit: max }) : value,
  );

export const tag = characters(MAX_TAG).trim().min(1).example("home").meta({ maxLength: MAX_TAG });

export const taskFields = {
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

const shape: Joi.StrictSchemaMap<Task> = {
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
};

export const taskSchema = Joi.object<Task, true>(shape).meta({ title: "Task" });

/** The same without what was not asked for. */
export const sparseTask = Joi.alternatives<SparseTask>(
  taskSchema,
  Joi.object<SparseTask>(shape)
    .fork(
      TASK_FIELDS.filter((name) => name !== "id" && name !== "version"),
      (field) => field.optional(),
    )
    .description("What `fields` asked for, the id and the version")
    .meta({ title: "SparseTask" }),
);

export const sparseFields = commaList(Joi.string().valid(...TASK_FIELDS))
  .description("Only these fields of a task; its `id` and `version` are always among them")
  .example("title,due");

/** A task of which more is said. */
export const taskSchemaWith = <T extends Task>(
  title: string,
  more: Joi.StrictSchemaMap<Omit<T, keyof Task>>,
) => Joi.object<T>({ ...shape, ...more }).meta({ title });

export const byId = { id: uuid().required() };

/** Of a version: an integer of PostgreSQL's. */
const MAX_VERSION = 2 ** 31 - 1;
export const versionNumber = () => Joi.number().integer().min(1).max(MAX_VERSION);

/** What a write may ask of the task it meets: its version is one of these, or none of those. */
export interface Conditions {
  ifMatch?: number[];
  ifNoneMatch?: number[];
}

const versions = () => Joi.array().items(Joi.number().integer().min(0).max(MAX_VERSION)).single();

/** Versions; over HTTP they come from the headers `If-Match` and `If-None-Match` (RFC 9110). */
export const conditions = { ifMatch: versions(), ifNoneMatch: versions() };

export const newTask = Joi.object<NewTask, true>({
  title: taskFields.title.required(),
  description: taskFields.description.default(""),
  status: taskFields.status.default("open"),
  priority: taskFields.priority.default("none"),
  due: taskFields.due.default(null),
  tags: taskFields.tags.default([]),
}).meta({ title: "NewTask" });

export const taskPatch = Joi.object<TaskPatch, true>(taskFields)
  .description("JSON merge patch (RFC 7396): what is absent stays as it is")
  .example({ status: "done" })
  .meta({ title: "TaskPatch" });
