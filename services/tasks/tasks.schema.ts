import Joi from "joi";
import { noParams, nothing } from "../../lib/schema.ts";
import { bulkActions } from "./bulk.schema.ts";
import { changeActions } from "./changes.schema.ts";
import { listActions } from "./list.schema.ts";
import { statsActions } from "./stats.schema.ts";
import {
  byId,
  type Conditions,
  conditions,
  newTask,
  type TaskPatch,
  taskPatch,
  taskSchema,
} from "./task.schema.ts";
import { trashActions } from "./trash.schema.ts";

/** What the tasks service's actions take and answer. */
export const taskActions = {
  create: {
    summary: "Create a task",
    scope: "tasks:write",
    params: newTask,
    defaults: ["description", "status", "priority", "due", "tags"],
    result: taskSchema,
  },
  ...listActions,
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
  ...statsActions,
  ...trashActions,
  ...changeActions,
  ...bulkActions,
  eraseAll: {
    summary: "Erase everything that the service holds of a deleted person",
    client: "auth",
    params: noParams(),
    result: nothing(),
  },
} as const;
