import Joi from "joi";
import { invalidCursor, uuid } from "../../lib/schema.ts";
import { byId, type Conditions, conditions, type Task, taskSchema, versionNumber } from "./task.schema.ts";

export const CHANGE_OPS = ["create", "update", "delete", "restore", "erase"] as const;
/** `delete`: to the trash. `erase`: for good. */
export type ChangeOp = (typeof CHANGE_OPS)[number];

/** One accepted write, as the log has it. */
export interface Change {
  seq: number;
  op: ChangeOp;
  taskId: string;
  version: number;
  at: string;
  /** As it was then; null when the task is not there any more: deleted by this change, or erased since. */
  task: Task | null;
}

/** How far somebody has read: a `seq`, or within a snapshot a place in it. */
export type Since = number | string;

export interface Changes {
  changes: Change[];
  nextSince: Since;
  hasMore: boolean;
}

export interface TaskVersion {
  version: number;
  op: ChangeOp;
  at: string;
  task: Task;
  /** Fields that differ from the version before; null when that one is not kept any more. */
  changed: string[] | null;
}

export interface History {
  items: TaskVersion[];
  nextCursor: string | null;
}

const op = Joi.string()
  .valid(...CHANGE_OPS)
  .required()
  .example("update");
const at = Joi.string().isoDate().required();
const version = versionNumber().required().example(2);

const change = Joi.object<Change, true>({
  seq: Joi.number().integer().min(1).required().example(812).description("Counts your changes, without gaps"),
  op,
  taskId: uuid().required(),
  version,
  at,
  task: taskSchema.allow(null).required(),
}).meta({ title: "Change" });

export const SNAPSHOT = /^snapshot:(\d{1,15}):([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})$/;

/** A number of the log, or a place in a snapshot. */
const since = () =>
  Joi.alternatives(
    Joi.number().integer().min(0).max(Number.MAX_SAFE_INTEGER),
    Joi.string().pattern(SNAPSHOT),
  ).messages({
    "alternatives.types": "{{#label}} must be the `nextSince` of another answer, or the `seq` of a change",
    "alternatives.match": "{{#label}} must be the `nextSince` of another answer, or the `seq` of a change",
  });

/** Reads of the change log. */
export const changeActions = {
  changes: {
    summary: "Read what changed",
    scope: "tasks:read",
    description:
      "For clients that keep a copy. Without `since`: all your tasks, in pages. With it: every change after that one, " +
      "in the order in which they were made. Keep `nextSince` with what you have applied and send it next time; go on " +
      "at once while `hasMore`. A change with `task: null` means: remove the task. To apply a change twice does no harm.",
    params: Joi.object<{ since?: Since; limit: number }, true>({
      since: since().description("`nextSince` of the answer before").example(811),
      limit: Joi.number()
        .integer()
        .min(1)
        .max(1_000)
        .default(100)
        .description("Changes in a page, which are fewer when their tasks are very long"),
    }),
    defaults: ["limit"],
    result: Joi.object<Changes, true>({
      changes: Joi.array().items(change).required(),
      nextSince: since()
        .required()
        .example(812)
        .description("Send this as `since`: a number, or within a snapshot a text"),
      hasMore: Joi.boolean().required().example(false),
    }).meta({ title: "Changes" }),
    errors: ["since_expired"],
  },
  follow: {
    summary: "Follow what changes, as it happens",
    scope: "tasks:read",
    description:
      "Server-Sent Events. `id` is the `seq` of a change, `event` is `task.created`, `task.updated`, `task.deleted` or " +
      "`task.restored`, and `data` a `Change` as in `GET /changes`, on one line. The stream begins now; with `since` or " +
      "`Last-Event-ID`, right after that change, without a gap and without a repetition. A comment comes every 15 seconds. " +
      "The stream ends with the session or the API token that opened it, and within fifteen seconds of when the " +
      "access token expires: refresh it and come back with the last `id`. Up to 20 streams for a person at a time.",
    params: Joi.object<{ since?: number }, true>({
      since: Joi.number()
        .integer()
        .min(0)
        .max(Number.MAX_SAFE_INTEGER)
        .description(
          "The last change that you have: a `seq`, or a `nextSince`; 0 for everything that is kept",
        )
        .example(811),
    }),
    /** After which change the stream begins. */
    result: Joi.object<{ seq: number }, true>({ seq: Joi.number().integer().min(0).required() }),
    /** `data` of each event. */
    event: change,
    errors: ["since_expired"],
  },
  history: {
    summary: "Read every version of a task",
    scope: "tasks:read",
    description: "The newest first; also of a task in the trash.",
    params: Joi.object<{ id: string; limit: number; cursor?: string }, true>({
      ...byId,
      limit: Joi.number().integer().min(1).max(100).default(20).description("Versions in a page"),
      cursor: Joi.string()
        .pattern(/^\d{1,9}$/)
        .error(invalidCursor)
        .description("`nextCursor` of the page before")
        .example("12"),
    }),
    defaults: ["limit"],
    result: Joi.object<History, true>({
      items: Joi.array()
        .items(
          Joi.object<TaskVersion, true>({
            version,
            op,
            at,
            task: taskSchema.required(),
            changed: Joi.array()
              .items(Joi.string())
              .allow(null)
              .required()
              .example(["status"])
              .description(
                "Fields that differ from the version before; null when that one is not kept any more",
              ),
          }).meta({ title: "TaskVersion" }),
        )
        .required(),
      nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
    }).meta({ title: "TaskHistory" }),
    errors: ["invalid_cursor", "not_found"],
  },
  revert: {
    summary: "Bring back an earlier version",
    scope: "tasks:write",
    description:
      "The task becomes as it was then, as a new version. This also brings a task back from the trash. A revert that " +
      "changes nothing leaves `version` alone.",
    params: Joi.object<{ id: string; version: number } & Conditions, true>({
      ...byId,
      version: versionNumber().strict().required().example(1),
      ...conditions,
    }),
    result: taskSchema,
    errors: ["not_found"],
  },
} as const;
