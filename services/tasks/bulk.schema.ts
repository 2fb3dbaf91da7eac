import Joi from "joi";
import { uuid } from "../../lib/schema.ts";
import {
  type NewTask,
  newTask,
  type Task,
  type TaskPatch,
  taskPatch,
  taskSchema,
  versionNumber,
} from "./task.schema.ts";

const MAX_OPERATIONS = 500;

export type Operation =
  | { op: "create"; task: NewTask }
  | { op: "update"; id: string; version?: number; task: TaskPatch }
  | { op: "delete"; id: string; version?: number };

/** As it is sent: what has a default may be left out. */
type OperationIn =
  | { op: "create"; task: Pick<NewTask, "title"> & TaskPatch }
  | Exclude<Operation, { op: "create" }>;

/** Why one operation was not done. The gateway makes it a problem document. */
export interface OperationProblem {
  code: string;
  status: number;
  detail: string;
  data?: unknown;
}

export interface OperationResult {
  status: number;
  task?: Task;
  problem?: OperationProblem;
}

export interface BulkParams<Each> {
  operations: Each[];
  /** All or none. */
  atomic: boolean;
  /** Judges everything and does nothing. */
  dryRun: boolean;
}

const version = versionNumber().strict().description("Only if the task has this version");
const of = (op: Operation["op"]) => Joi.string().valid(op).required();

const operations = {
  create: Joi.object<Operation>({ op: of("create"), task: newTask.required() }).meta({ title: "BulkCreate" }),
  update: Joi.object<Operation>({
    op: of("update"),
    id: uuid().required(),
    version,
    task: taskPatch.required(),
  }).meta({
    title: "BulkUpdate",
  }),
  delete: Joi.object<Operation>({ op: of("delete"), id: uuid().required(), version }).meta({
    title: "BulkDelete",
  }),
};

const unknownOperation = Joi.object<Operation>({
  op: Joi.string()
    .valid(...Object.keys(operations))
    .required(),
}).unknown();

/** The schema of this operation, by its `op`. */
export function readOperation(operation: unknown): Joi.ObjectSchema<Operation> {
  const { op } = Object(operation);
  const found = Object.entries(operations).find(([name]) => name === op)?.[1];
  return found ?? unknownOperation;
}

const flags = {
  atomic: Joi.boolean().strict().default(true).description("All operations or none"),
  dryRun: Joi.boolean().strict().default(false).description("Answers as if it were done, and does nothing"),
};

/** What is wrong with a single operation is said in its place of the results. */
export const bulkEnvelope = Joi.object<BulkParams<unknown>, true>({
  operations: Joi.array().items(Joi.any()).min(1).max(MAX_OPERATIONS).required(),
  ...flags,
});

export const bulkActions = {
  bulk: {
    summary: "Create, change and delete many tasks at once",
    scope: "tasks:write",
    description:
      "Up to 500 operations; each has its result in the same place of `results`, with a `problem` when it was not done. " +
      "By default all are done or none: then those that could have been have the problem `not_applied` (424). A task can " +
      "come once. When the tasks are more than an answer of 15 MiB holds, none is done (422).",
    params: Joi.object<BulkParams<OperationIn>, true>({
      operations: Joi.array<OperationIn[]>()
        .items(operations.create, operations.update, operations.delete)
        .min(1)
        .max(MAX_OPERATIONS)
        .required(),
      ...flags,
    }).meta({ title: "Bulk" }),
    defaults: ["atomic", "dryRun"],
    result: Joi.object<{ results: OperationResult[] }, true>({
      results: Joi.array()
        .items(
          Joi.object<OperationResult, true>({
            status: Joi.number().integer().required().example(200).description("As if it had been a request"),
            task: taskSchema.optional(),
            problem: Joi.object().unknown().meta({ $ref: "#/components/schemas/Problem" }),
          })
            .example({ status: 204 })
            .meta({ title: "BulkResult" }),
        )
        .required(),
    }).meta({ title: "BulkResults" }),
  },
} as const;
