import { v7 as uuidv7 } from "uuid";
import { notFound, problem, validationFailed } from "../../lib/errors.ts";
import type { Identity } from "../../lib/passport.ts";
import { readDue } from "./due.logic.ts";
import { type Conditions, type NewTask, PRIORITIES, type Task, type TaskPatch } from "./task.schema.ts";
import { toRowPatch, toTaskView } from "./task-view.logic.ts";
import type { TaskQueries, TaskRow, Write } from "./tasks.repository.ts";

export type Caller = Pick<Identity, "userId" | "timeZone">;

/** What others on the bus are told of a write. */
export interface Announcement {
  userId: string;
  event: "created" | "updated" | "deleted" | "restored" | "erased";
  tasks: { id: string; version: number }[];
}

interface WriteOptions {
  tasks: TaskQueries;
  /** The request, when it may come again by itself: the gateway tries twice. Null when nobody can tell. */
  operation: string | null;
  /** Told of what was written; called once for each kind. */
  announce: (announcement: Announcement) => void;
  clock: () => number;
}

export type TaskWrites = ReturnType<typeof createTaskWrites>;

export const preconditionFailed = (version: number): Error =>
  problem("precondition_failed", `The task is at version ${version}.`, { version });

/** The row of a new task. */
export function buildRow(
  { userId, timeZone }: Caller,
  { due, priority, ...plain }: NewTask,
  now: Date,
): TaskRow {
  return {
    userId,
    id: uuidv7(),
    ...plain,
    priority: PRIORITIES.indexOf(priority),
    ...readDue(due, timeZone),
    completedAt: plain.status === "done" ? now : null,
    version: 1,
    createdAt: now,
    updatedAt: now,
    deletedAt: null,
  };
}

/** Every change that a person can make to one task, for one request. */
export function createTaskWrites({ tasks, operation, announce, clock }: WriteOptions) {
  /** The task as this very request left it, when it came before. */
  async function repeated(userId: string): Promise<TaskRow | null> {
    const done = operation === null ? null : await tasks.repeated(userId, operation);
    return done?.kept ? { ...done, userId, id: done.taskId, updatedAt: done.at, deletedAt: null } : null;
  }

  /** @throws not_found, precondition_failed */
  async function change(userId: string, write: Write, event: Announcement["event"]): Promise<TaskRow> {
    const written = await tasks.write(userId, [write], { now: new Date(clock()), operation });
    const [row] = written ?? [];
    if (row?.matches) {
      if (row.changed) announce({ userId, event, tasks: [{ id: row.id, version: row.version }] });
      return row;
    }
    // What the request did the first time may be why it can't be done now.
    const done = await repeated(userId);
    if (done) return done;
    throw row ? preconditionFailed(row.version) : notFound("task");
  }

  return {
    async create(caller: Caller, task: NewTask): Promise<Task> {
      const { userId } = caller;
      const row = buildRow(caller, task, new Date(clock()));
      if (await tasks.insert([row], operation)) {
        announce({ userId, event: "created", tasks: [{ id: row.id, version: row.version }] });
        return toTaskView(row);
      }
      const done = await repeated(userId);
      // Erased since.
      if (!done) throw notFound("task");
      return toTaskView(done);
    },

    /**
     * RFC 7396; a patch that changes nothing leaves version and `updatedAt` alone.
     *
     * @throws not_found, precondition_failed
     */
    async update(
      { userId, timeZone }: Caller,
      { id, patch, ...conditions }: { id: string; patch: TaskPatch } & Conditions,
    ): Promise<Task> {
      const write = { id, patch: toRowPatch(patch, timeZone), trashed: false, ...conditions };
      return toTaskView(await change(userId, write, "updated"));
    },

    /** To the trash. @throws not_found, precondition_failed */
    async delete({ userId }: Caller, { id, ...conditions }: { id: string } & Conditions): Promise<null> {
      const patch = { deletedAt: new Date(clock()) };
      await change(userId, { id, patch, trashed: false, ...conditions }, "deleted");
      return null;
    },

    /** From the trash. @throws not_found, precondition_failed */
    async restore({ userId }: Caller, { id, ...conditions }: { id: string } & Conditions): Promise<Task> {
      const write = { id, patch: { deletedAt: null }, trashed: true, ...conditions };
      return toTaskView(await change(userId, write, "restored"));
    },

    /** As it was at that version, also from the trash. @throws not_found, precondition_failed, validation_failed */
    async revert(
      { userId }: Caller,
      { id, version, ...conditions }: { id: string; version: number } & Conditions,
    ): Promise<Task> {
      const [present] = await tasks.versions(userId, id, { limit: 1 });
      if (!present) throw notFound("task");
      const then = await tasks.version(userId, id, version);
      if (!then) {
        const detail = `There is no version ${version}, or it is not kept any more.`;
        throw validationFailed([{ path: ["version"], code: "not_found", detail }]);
      }
      const { title, description, status, priority, dueOn, dueZone, dueAt, tags, completedAt } = then;
      const content = { title, description, status, priority, dueOn, dueZone, dueAt, tags, completedAt };
      const event = present.op === "delete" ? "restored" : "updated";
      return toTaskView(
        await change(userId, { id, patch: { ...content, deletedAt: null }, ...conditions }, event),
      );
    },

    /** For good, from the trash. @throws not_found, precondition_failed */
    async erase({ userId }: Caller, { id, ...conditions }: { id: string } & Conditions): Promise<null> {
      const erased = await tasks.erase(userId, { id, ...conditions });
      if (!erased) throw notFound("task");
      if (!erased.matches) throw preconditionFailed(erased.version);
      announce({ userId, event: "erased", tasks: [{ id, version: erased.version + 1 }] });
      return null;
    },
  };
}
