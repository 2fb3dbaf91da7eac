import { notFound, problem } from "../../lib/errors.ts";
import type { ChangeRow, LogPage } from "./changes.repository.ts";
import { type Change, type Changes, type History, type Since, SNAPSHOT } from "./changes.schema.ts";
import type { Task } from "./task.schema.ts";
import { toTaskView } from "./task-view.logic.ts";
import type { TaskQueries } from "./tasks.repository.ts";

type ChangeLog = Pick<TaskQueries, "changesAfter" | "snapshot" | "versions">;

/** What no version differs in because somebody wanted it to. */
const BOOKKEEPING = ["version", "updatedAt"];

const snapshotPlace = (upTo: number, after: string): Since => `snapshot:${upTo}:${after}`;

/** Reads of the change log: sync and history. */
export function createChangeLogic({ tasks }: { tasks: ChangeLog }) {
  async function snapshot(
    userId: string,
    place: { upTo: number | null; after: string | null },
    limit: number,
  ): Promise<Changes> {
    const { head, changes, more } = await tasks.snapshot(userId, { ...place, limit });
    const upTo = place.upTo ?? head;
    const last = changes.at(-1);
    const within = more && last !== undefined;
    return {
      changes: changes.map((change) => toChange(userId, change)),
      nextSince: within ? snapshotPlace(upTo, last.taskId) : upTo,
      // What was written since the snapshot began comes next.
      hasMore: within || head > upTo,
    };
  }

  /** @throws since_expired */
  async function readAfter(userId: string, since: number, limit: number): Promise<LogPage> {
    const read = await tasks.changesAfter(userId, since, limit);
    // Who has read nothing misses nothing of what compaction removed. A number from the future is of another database.
    if ((since > 0 && since < read.compactedTo) || since > read.head) {
      throw problem("since_expired", "Changes since then are not kept: start again without `since`.");
    }
    return read;
  }

  async function after(userId: string, since: number, limit: number): Promise<Changes> {
    const { changes, more } = await readAfter(userId, since, limit);
    return {
      changes: changes.map((change) => toChange(userId, change)),
      nextSince: changes.at(-1)?.seq ?? since,
      hasMore: more,
    };
  }

  return {
    /** @throws since_expired */
    changes(
      { userId }: { userId: string },
      { since, limit }: { since?: Since; limit: number },
    ): Promise<Changes> {
      if (since === undefined) return snapshot(userId, { upTo: null, after: null }, limit);
      const [, upTo, taskId] = SNAPSHOT.exec(String(since)) ?? [];
      if (taskId !== undefined) return snapshot(userId, { upTo: Number(upTo), after: taskId }, limit);
      return after(userId, Number(since), limit);
    },

    /** After that change, or after what there is now. @throws since_expired */
    async follow({ userId }: { userId: string }, { since }: { since?: number }): Promise<{ seq: number }> {
      const { head } = await readAfter(userId, since ?? 0, 0);
      return { seq: since ?? head };
    },

    /** @throws not_found, also for a task that was erased */
    async history(
      { userId }: { userId: string },
      { id, limit, cursor }: { id: string; limit: number; cursor?: string },
    ): Promise<History> {
      const found = await tasks.versions(userId, id, {
        below: cursor === undefined ? null : Number(cursor),
        limit: limit + 1,
      });
      if (found.length === 0) {
        const some = cursor === undefined ? found : await tasks.versions(userId, id, { limit: 1 });
        if (some.length === 0) throw notFound("task");
      }
      const items = found.slice(0, limit).map((change, index) => {
        const task = toTask(userId, change);
        const before = found[index + 1];
        return {
          version: change.version,
          op: change.op,
          at: change.at.toISOString(),
          task,
          changed: changedFields(change, task, before && toTask(userId, before)),
        };
      });
      return { items, nextCursor: found.length > limit ? String(items.at(-1)?.version) : null };
    },
  };
}

const toTask = (userId: string, { taskId, at, ...change }: ChangeRow): Task =>
  toTaskView({ ...change, userId, id: taskId, updatedAt: at });

function toChange(userId: string, change: ChangeRow): Change {
  const { seq, op, taskId, version, at, kept } = change;
  const there = kept && op !== "delete" && op !== "erase";
  return { seq, op, taskId, version, at: at.toISOString(), task: there ? toTask(userId, change) : null };
}

function changedFields({ op, version }: ChangeRow, task: Task, before: Task | undefined): string[] | null {
  if (op === "create") return [];
  if (before?.version !== version - 1) return null;
  const was = new Map<string, unknown>(Object.entries(before));
  return Object.entries(task)
    .filter(
      ([name, value]) =>
        !BOOKKEEPING.includes(name) && JSON.stringify(value) !== JSON.stringify(was.get(name)),
    )
    .map(([name]) => name);
}
