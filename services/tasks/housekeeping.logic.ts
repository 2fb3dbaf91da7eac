import { setImmediate as nextTurn } from "node:timers/promises";
import { KEEP_ANSWERS_MS } from "./idempotency.logic.ts";
import type { TaskQueries } from "./tasks.repository.ts";
import type { Announcement } from "./writes.logic.ts";

/** Rows in one statement: it must not hold others up. */
const BATCH = 500;

interface HousekeepingOptions {
  tasks: Pick<TaskQueries, "eraseTrash" | "compact" | "forgetAnswers" | "removeSome">;
  /** Milliseconds that deleted tasks stay in the trash. */
  keepTrash: number;
  /** Milliseconds that the log keeps what was followed by something newer. */
  keepChanges: number;
  announce: (announcement: Announcement) => void;
  clock: () => number;
}

/** Removes what has had its time. Every node does; one at a time does the same piece. */
export function createHousekeeping(options: HousekeepingOptions) {
  const { tasks, keepTrash, keepChanges, announce, clock } = options;
  const before = (age: number): Date => new Date(clock() - age);

  async function untilNone(step: () => Promise<number>): Promise<void> {
    while ((await step()) > 0) await nextTurn();
  }

  async function purge(): Promise<number> {
    const erased = await tasks.eraseTrash({ before: before(keepTrash), limit: BATCH });
    for (const [userId, rows] of Map.groupBy(erased, (row) => row.userId)) {
      announce({ userId, event: "erased", tasks: rows.map(({ id, version }) => ({ id, version })) });
    }
    return erased.length;
  }

  return {
    async sweep(): Promise<void> {
      const steps = [
        purge,
        () => tasks.compact(before(keepChanges), BATCH),
        () => tasks.forgetAnswers(before(KEEP_ANSWERS_MS), BATCH),
      ];
      const failures: unknown[] = [];
      // One after another, and each though another failed: what it removes would stay as long as that fails.
      for (const step of steps) await untilNone(step).catch((error: unknown) => failures.push(error));
      if (failures.length > 0) throw new AggregateError(failures, failures.map(String).join("; "));
    },

    /** Everything of a person whose account is deleted, in parts: it may be more than one call has time for. */
    async eraseAll({ userId }: { userId: string }): Promise<null> {
      while (await tasks.removeSome(userId, BATCH)) await nextTurn();
      return null;
    },
  };
}
