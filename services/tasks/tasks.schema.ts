import Joi from "joi";
import { commaList, DATE_OR_INSTANT, dateOrInstant, text, uuid } from "../../lib/schema.ts";

export const STATUSES = ["open", "in_progress", "done", "cancelled"] as const;
/** In the order they sort. */
export const PRIORITIES = ["none", "low", "medium", "high", "urgent"] as const;
export const DUE_FILTERS = ["none", "any", "overdue", "today", "week"] as const;
export const SORT_FIELDS = ["createdAt", "updatedAt", "due", "priority", "title"] as const;
/** What can be asked to lie between `…From` and `…To`. */
export const RANGES = ["due", "created", "updated", "completed"] as const;
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
export type DueFilter = (typeof DUE_FILTERS)[number];
export type SortField = (typeof SORT_FIELDS)[number];
export type RangeField = (typeof RANGES)[number];
export type TaskField = (typeof TASK_FIELDS)[number];
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

/** A task, or the fields of it that were asked for. */
export type SparseTask = Pick<Task, "id"> & Partial<Task>;

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
  /** Text to search for. */
  q?: string;
  /** By relevance when there is a `q`, else newest first. */
  sort?: SortKey[];
  limit: number;
  cursor?: string;
  fields?: TaskField[];
  count: boolean;
  explain: boolean;
}

export interface TaskPage<T extends SparseTask = Task> {
  items: T[];
  nextCursor: string | null;
  /** Of all pages. */
  total?: number;
  explain?: Explanation;
}

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

export interface Stats {
  byStatus: Record<Status, number>;
  byPriority: Record<Priority, number>;
  overdue: number;
  dueToday: number;
  /** Thirty days, oldest first; the last one is today. */
  completedPerDay: { date: string; count: number }[];
}

const MAX_TITLE = 200;
const MAX_DESCRIPTION = 20_000;
const MAX_TAGS = 20;
const MAX_TAG = 50;
const MAX_SORT_KEYS = 3;
const MAX_SEARCH = 200;

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

const taskFields = {
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
const task = Joi.object<Task, true>(taskFields).meta({ title: "Task" });

/** The same without what was not asked for. */
const sparseTask = Joi.alternatives<SparseTask>(
  task,
  Joi.object<SparseTask>(taskFields)
    .fork(
      TASK_FIELDS.filter((name) => name !== "id"),
      (field) => field.optional(),
    )
    .description("What `fields` asked for, and the id")
    .meta({ title: "SparseTask" }),
);

const sparse = commaList(Joi.string().valid(...TASK_FIELDS))
  .description("Only these fields of a task; its `id` is always among them")
  .example("title,due");

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
  dueFrom: bound("Due at or after; never a task without a due time"),
  dueTo: bound("Due before; never a task without a due time"),
  createdFrom: bound("Created at or after"),
  createdTo: bound("Created before"),
  updatedFrom: bound("Changed at or after"),
  updatedTo: bound("Changed before"),
  completedFrom: bound("Done at or after; never a task that is not done"),
  completedTo: bound("Done before; never a task that is not done"),
  q: characters(MAX_SEARCH)
    .min(1)
    .description(
      "Text to search for in title, tags and description. All its words must be there, in any order: as a word with " +
        "another ending (English, Russian), or as a part of a word (any language), without regard to case, accents on " +
        "Latin letters, and ё or е. All that is no letter, digit or emoji separates words and has no other meaning; a " +
        "text without any word finds nothing",
    )
    .example("milk")
    .meta({ maxLength: MAX_SEARCH }),
  sort: commaList(Joi.string().valid(...SORT_FIELDS, ...SORT_FIELDS.map((field) => `-${field}` as const)))
    .max(MAX_SORT_KEYS)
    .unique((a: string, b: string) => a.replace("-", "") === b.replace("-", ""))
    .description(
      "Up to three fields, `-` for descending; tasks without a due time come last either way. Without it: newest first " +
        "(`-createdAt`), or with `q` by relevance: words in the title before those in tags before those in the " +
        "description, then newest first",
    )
    .example("-priority,due"),
  limit: Joi.number().integer().min(1).max(100).default(20).description("Tasks in a page"),
  cursor: Joi.string()
    .max(2048)
    .description("`nextCursor` of the page before, with the same filter and sort")
    .example("Yx0Rk3…"),
  fields: sparse,
  count: Joi.boolean()
    .default(false)
    .description("`true`: the answer has `total`, the number of tasks on all pages"),
  explain: Joi.boolean()
    .default(false)
    .description("`true`: the answer has `explain`, how filter, sort and `q` were read"),
});

const instant = (description: string): Joi.StringSchema =>
  Joi.string().isoDate().description(description).example("2026-12-01T00:00:00.000Z");

const explanation = Joi.object<Explanation, true>({
  timeZone: Joi.string().required().description("Yours: it says when days begin").example("Europe/Berlin"),
  now: Joi.string().isoDate().required().description("When the list was made"),
  filter: Joi.object<Explanation["filter"], true>({
    status: Joi.array().items(fields.status).example(["open"]),
    priority: Joi.array().items(fields.priority).example(["high", "urgent"]),
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
        .items(fields.status)
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
    result: Joi.object<TaskPage<SparseTask>, true>({
      items: Joi.array().items(sparseTask).required(),
      nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
      total: Joi.number().integer().min(0).description("With `count`: tasks on all pages").example(1),
      explain: explanation.description("With `explain`: how the list was read"),
    }).meta({ title: "TaskPage" }),
    errors: ["invalid_cursor"],
  },
  stats: {
    summary: "Count your tasks",
    scope: "tasks:read",
    description: "All figures are of one moment. Days begin and end in your time zone.",
    params: Joi.object<Record<string, never>, true>({}),
    result: stats,
  },
  get: {
    summary: "Read a task",
    scope: "tasks:read",
    params: Joi.object<{ id: string; fields?: TaskField[] }, true>({ id: uuid().required(), fields: sparse }),
    result: sparseTask,
    errors: ["not_found"],
  },
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
