import { type BoundedQueue, type BoundedQueueOptions, createBoundedQueue } from "../../lib/bounded-queue.ts";
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

/** Where hashes wait for their turn; refuses with `overloaded`. */
export type HashQueue = BoundedQueue;

export const createHashQueue = (options: Omit<BoundedQueueOptions, "maxWait" | "refusal">): HashQueue =>
  createBoundedQueue({
    ...options,
    maxWait: MAX_WAIT,
    refusal: () =>
      problem("overloaded", "More people are signing in than can be served.", { retryAfter: RETRY_AFTER }),
  });
