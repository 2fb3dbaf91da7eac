import Joi from "joi";
import { noParams, nothing } from "../../lib/schema.ts";
import { byId, type Conditions, conditions, type Task, taskSchema, taskSchemaWith } from "./task.schema.ts";

export interface TrashedTask extends Task {
  deletedAt: string;
}

export interface TrashPage {
  items: TrashedTask[];
  nextCursor: string | null;
}

const trashedTask = taskSchemaWith<TrashedTask>("TrashedTask", {
  deletedAt: Joi.string().isoDate().required(),
});

const one = Joi.object<{ id: string } & Conditions, true>({ ...byId, ...conditions });

/** What was deleted, until it is erased: by its owner, or after TRASH_RETENTION. */
export const trashActions = {
  listTrash: {
    summary: "List your deleted tasks",
    scope: "tasks:read",
    description:
      "The last deleted first. They are erased after 30 days, unless this installation says otherwise.",
    params: Joi.object<{ limit: number; cursor?: string }, true>({
      limit: Joi.number().integer().min(1).max(100).default(20).description("Tasks in a page"),
      cursor: Joi.string().max(2048).description("`nextCursor` of the page before").example("Yx0Rk3…"),
    }),
    defaults: ["limit"],
    result: Joi.object<TrashPage, true>({
      items: Joi.array().items(trashedTask).required(),
      nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
    }).meta({ title: "TrashPage" }),
    errors: ["invalid_cursor"],
  },
  restore: {
    summary: "Put a deleted task back",
    scope: "tasks:write",
    params: one,
    result: taskSchema,
    errors: ["not_found"],
  },
  erase: {
    summary: "Erase a deleted task for good",
    scope: "tasks:write",
    description:
      "With its history: nothing can bring it back. What a request with an `Idempotency-Key` was answered is kept for a day.",
    params: one,
    result: nothing(),
    errors: ["not_found"],
  },
  emptyTrash: {
    summary: "Erase all deleted tasks for good",
    scope: "tasks:write",
    description:
      "In parts: after a 503 ask again. With an `Idempotency-Key`, a repetition erases nothing that was deleted since the first.",
    params: noParams(),
    result: nothing(),
  },
} as const;
