import { setImmediate as nextTurn } from "node:timers/promises";
import type { Chore } from "../../lib/housekeeping.ts";
import { KEEP_ANSWERS_MS } from "./idempotency.logic.ts";
import type { TaskQueries } from "./tasks.repository.ts";
import type { Announcement } from "./writes.logic.ts";

/** Rows in one statement: it must not hold others up. */
const BATCH = 500;
/** Milliseconds. */
const INTERVAL = 10 * 60_000;

interface HousekeepingOptions {
  tasks: Pick<TaskQueries, "eraseTrash" | "compact" | "forgetAnswers" | "removeSome">;
  /** Milliseconds that deleted tasks stay in the trash. */
  keepTrash: number;
  /** Milliseconds that the log keeps what was followed by something newer. */
  keepChanges: number;
  announce: (announcement: Announcement) => void;
  clock: () => number;
}

/** Removals of what has had its time. */
export function createHousekeeping(options: HousekeepingOptions) {
  const { tasks, keepTrash, keepChanges, announce, clock } = options;
  const before = (age: number): Date => new Date(clock() - age);

  async function emptyTrash(): Promise<number> {
    const erased = await tasks.eraseTrash({ before: before(keepTrash), limit: BATCH });
    for (const [userId, rows] of Map.groupBy(erased, (row) => row.userId)) {
      announce({ userId, event: "erased", tasks: rows.map(({ id, version }) => ({ id, version })) });
    }
    return erased.length;
  }

  return {
    chores: [
      { name: "trash", every: INTERVAL, part: emptyTrash },
      { name: "changes", every: INTERVAL, part: () => tasks.compact(before(keepChanges), BATCH) },
      { name: "answers", every: INTERVAL, part: () => tasks.forgetAnswers(before(KEEP_ANSWERS_MS), BATCH) },
    ] satisfies Chore[],

    /** Everything of a person whose account is deleted, in parts: it may be more than one call has time for. */
    async eraseAll({ userId }: { userId: string }): Promise<null> {
      while (await tasks.removeSome(userId, BATCH)) await nextTurn();
      return null;
    },
  };
}
