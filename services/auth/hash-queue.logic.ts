import pLimit from "p-limit";
import { problem } from "../../lib/errors.ts";

/** Seconds a client is asked to wait: about what a full queue takes. */
const RETRY_AFTER = 2;
/** Milliseconds after which a hash is not begun any more: its caller gives up after 4 s. */
const MAX_WAIT = 2_000;
/** Hashes of cost 12, of some 0.2 s each, that may wait behind each running one. */
const WAITING_AT_COST_12 = 8;

/**
 * How many may wait: twice as many of half the cost, so that the last one waits for about two seconds whatever the
 * cost, and is answered before its caller gives up.
 */
export const maxWaitingFor = (cost: number, running: number): number =>
  Math.max(1, Math.floor(running * WAITING_AT_COST_12 * 2 ** (12 - cost)));

export interface HashQueue {
  /** Refuses what would be refused anyway, before anything is done for it. @throws overloaded */
  assertRoom(): void;
  /** @throws overloaded */
  run<T>(work: () => Promise<T>): Promise<T>;
  counts(): { running: number; waiting: number };
}

interface HashQueueOptions {
  running: number;
  waiting: number;
  clock: () => number;
  /** Told how long each hash waited for its turn, in milliseconds. */
  onTurn?: (waited: number) => void;
  /** Told of each that was refused: at once, or when its turn came too late. */
  onRefused?: (reason: "full" | "late") => void;
}

/**
 * Runs at most `running` hashes at once and lets at most `waiting` more wait; any beyond are refused at once, and
 * those whose turn comes too late, then.
 */
export function createHashQueue(options: HashQueueOptions): HashQueue {
  const { running, waiting, clock, onTurn = () => {}, onRefused = () => {} } = options;
  const limit = pLimit(running);
  const assertRoom = (): void => {
    if (limit.activeCount + limit.pendingCount < running + waiting) return;
    onRefused("full");
    throw overloaded();
  };
  return {
    assertRoom,
    async run(work) {
      assertRoom();
      const askedAt = clock();
      return limit(() => {
        const waited = clock() - askedAt;
        onTurn(waited);
        if (waited <= MAX_WAIT) return work();
        onRefused("late");
        throw overloaded();
      });
    },
    counts: () => ({ running: limit.activeCount, waiting: limit.pendingCount }),
  };
}

const overloaded = (): Error =>
  problem("overloaded", "More people are signing in than can be served.", { retryAfter: RETRY_AFTER });
