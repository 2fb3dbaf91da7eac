import Joi from "joi";
import { uuid } from "../../lib/schema.ts";

/** Tasks that one write made or changed, in the versions that it left them in. */
export interface TaskEvent {
  userId: string;
  tasks: { id: string; version: number }[];
}

const payload = Joi.object<TaskEvent, true>({
  userId: uuid().required(),
  tasks: Joi.array()
    .items(
      Joi.object({ id: uuid().required(), version: Joi.number().integer().min(1).required().example(2) }),
    )
    .required(),
});

/** What the tasks service tells the bus. */
export const taskEvents = {
  "task.created": { summary: "Tasks are new", payload },
  "task.updated": { summary: "Tasks have changed", payload },
  "task.deleted": { summary: "Tasks went to the trash", payload },
  "task.restored": { summary: "Tasks came back from the trash", payload },
  "task.erased": { summary: "Tasks are gone for good, with their history", payload },
  "tasks.changed": {
    summary: "A person's log has grown: for gateways alone, all of them",
    payload: Joi.object<{ userId: string }, true>({ userId: uuid().required() }),
  },
} as const;
