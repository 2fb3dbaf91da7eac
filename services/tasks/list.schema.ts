import Joi from "joi";
import { commaList, dateOrInstant } from "../../lib/schema.ts";
import { DUE_FILTERS, type DueFilter, type Explanation, explanation } from "./explain.schema.ts";
import {
  byId,
  characters,
  type Priority,
  type SparseTask,
  type Status,
  sparseFields,
  sparseTask,
  type Task,
  type TaskField,
  tag,
  taskFields,
} from "./task.schema.ts";

export const SORT_FIELDS = ["createdAt", "updatedAt", "due", "priority", "title"] as const;
/** What can be asked to lie between `…From` and `…To`. */
export const RANGES = ["due", "created", "updated", "completed"] as const;

export type SortField = (typeof SORT_FIELDS)[number];
export type RangeField = (typeof RANGES)[number];
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

/** A `TaskPage` as JSON. */
export interface TaskPageText {
  text: string;
  nextCursor: string | null;
}

const MAX_SORT_KEYS = 3;
const MAX_SEARCH = 200;

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
        "text without any word finds nothing. Where more text came at once than there was time to read, titles are " +
        "searched at once and the rest seconds later",
    )
    .example("milk")
    .meta({ maxLength: MAX_SEARCH }),
  sort: commaList(Joi.string().valid(...SORT_FIELDS, ...SORT_FIELDS.map((field) => `-${field}` as const)))
    .max(MAX_SORT_KEYS)
    .unique((a: unknown, b: unknown) => String(a).replace("-", "") === String(b).replace("-", ""))
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
  fields: sparseFields,
  count: Joi.boolean()
    .default(false)
    .description("`true`: the answer has `total`, the number of tasks on all pages"),
  explain: Joi.boolean()
    .default(false)
    .description("`true`: the answer has `explain`, how filter, sort and `q` were read"),
});

/** Reads of tasks. */
export const listActions = {
  list: {
    summary: "List your tasks",
    scope: "tasks:read",
    description:
      "Filters narrow the list down together. It comes in pages: ask for the next one with `cursor`, or follow the " +
      "`Link` header. No task is skipped or comes twice unless it moved itself.",
    params: listParams,
    defaults: ["limit", "count", "explain"],
    result: Joi.object<TaskPage<SparseTask>, true>({
      items: Joi.array().items(sparseTask).required(),
      nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
      total: Joi.number().integer().min(0).description("With `count`: tasks on all pages").example(1),
      explain: explanation.description("With `explain`: how the list was read"),
    }).meta({ title: "TaskPage" }),
    errors: ["invalid_cursor"],
  },
  listText: {
    summary: "List your tasks, as JSON",
    scope: "tasks:read",
    description: "The result of `tasks.list` as a text, for the gateway: nobody on its way has to read it.",
    params: listParams,
    result: Joi.object<TaskPageText, true>({
      text: Joi.string().required(),
      nextCursor: Joi.string().allow(null).required(),
    }),
    defaults: ["limit", "count", "explain"],
    errors: ["invalid_cursor"],
  },
  get: {
    summary: "Read a task",
    scope: "tasks:read",
    params: Joi.object<{ id: string; fields?: TaskField[] }, true>({ ...byId, fields: sparseFields }),
    result: sparseTask,
    errors: ["not_found"],
  },
} as const;
