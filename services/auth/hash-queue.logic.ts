import pLimit from "p-limit";
import { problem } from "../../lib/errors.ts";

/** Seconds a client is asked to wait: about what a full queue takes. */
const RETRY_AFTER = 2;
/** Hashes of cost 12, of some 0.2 s each, that may wait behind each running one. */
const WAITING_AT_COST_12 = 8;

/**
 * How many may wait: twice as many of half the cost, so that the last one waits for about two seconds whatever the
 * cost, and is answered before its caller gives up.
 */
export const maxWaitingFor = (cost: number, running: number): number =>
  Math.max(1, Math.floor(running * WAITING_AT_COST_12 * 2 ** (12 - cost)));

export type HashQueue = <T>(work: () => Promise<T>) => Promise<T>;

/**
 * Runs at most `running` hashes at once and lets at most `waiting` more wait; any beyond are refused at once.
 *
 * @throws overloaded
 */
export function createHashQueue({ running, waiting }: { running: number; waiting: number }): HashQueue {
  const limit = pLimit(running);
  return async (work) => {
    if (limit.activeCount + limit.pendingCount >= running + waiting) {
      throw problem("overloaded", "More people are signing in than can be served.", {
        retryAfter: RETRY_AFTER,
      });
    }
    return limit(work);
  };
}
