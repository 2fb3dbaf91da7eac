import { setImmediate as nextTurn } from "node:timers/promises";
import type { Chore } from "../../lib/housekeeping.ts";
import { shareWork } from "../../lib/share-work.ts";
import { KEEP_ANSWERS_MS } from "./idempotency.logic.ts";
import type { TaskRepository } from "./tasks.repository.ts";
import type { Announcement } from "./writes.logic.ts";

/** Rows in one statement: it must not hold others up. */
const BATCH = 500;
/** Texts of up to 20,000 characters in one statement, for as long as it takes to read them nobody can change these. */
const TEXTS = 5;
/** Milliseconds. */
const INTERVAL = 10 * 60_000;
/** Milliseconds for which the search may miss what is in a long text, and some more while there are many. */
const TEXTS_INTERVAL = 1_000;

interface HousekeepingOptions {
  tasks: Pick<
    TaskRepository,
    "atomically" | "compact" | "eraseTrash" | "forgetAnswers" | "readTexts" | "removeSome"
  >;
  /** Milliseconds that deleted tasks stay in the trash. */
  keepTrash: number;
  /** Milliseconds that the log keeps what was followed by something newer. */
  keepChanges: number;
  announce: (announcement: Announcement) => void;
  clock: () => number;
}

/** Removals of what has had its time, and what was left for later. */
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

  /** Who asks for it gives up before it is done and asks again. */
  const erasing = shareWork<null>();
  async function eraseAll(userId: string): Promise<null> {
    do {
      while (await tasks.removeSome(userId, BATCH)) await nextTurn();
    } while (!(await tasks.atomically((bound) => bound.removeRest(userId), Boolean)));
    return null;
  }

  return {
    chores: [
      { name: "trash", every: INTERVAL, part: emptyTrash },
      { name: "changes", every: INTERVAL, part: () => tasks.compact(before(keepChanges), BATCH) },
      { name: "answers", every: INTERVAL, part: () => tasks.forgetAnswers(before(KEEP_ANSWERS_MS), BATCH) },
      { name: "texts", every: TEXTS_INTERVAL, part: () => tasks.readTexts(TEXTS) },
    ] satisfies Chore[],

    /** Everything of a person whose account is deleted, in parts: it may be more than one call has time for. */
    eraseAll: ({ userId }: { userId: string }): Promise<null> => erasing(userId, () => eraseAll(userId)),
  };
}
