import type { BoundedQueueOptions } from "../../lib/bounded-queue.ts";
import { problem } from "../../lib/errors.ts";
import { createFairQueue, type FairQueue } from "../../lib/fair-queue.ts";

/** Of one person, in one process: so many at a time, so many more wait. Of ten connections, others have four at least. */
const KINDS = {
  /** Searches, counts and statistics. One that also counts takes two connections to the database. */
  long_read: { running: 2, waiting: 20, refusal: "You search and count too much at a time. Please wait." },
  /** More at a time would be no faster: each waits for the one before it to leave the person's log (ADR 20). */
  write: { running: 2, waiting: 200, refusal: "You change too much at a time. Please wait." },
};
/** Milliseconds: half of what the gateway waits for a call. */
const MAX_WAIT = 2_000;
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

export type TurnKind = keyof typeof KINDS;
export type Turns = FairQueue;

/**
 * What takes as long as somebody has tasks: each person's waits for each other, and for nobody else's. Refused with
 * too_many_requests are those for whom too many of that person's wait, or who have waited for too long.
 */
export function createTurns(
  kind: TurnKind,
  { clock, onRefused }: Pick<BoundedQueueOptions, "clock" | "onRefused">,
): Turns {
  const { running, waiting, refusal } = KINDS[kind];
  return createFairQueue({
    running,
    waiting,
    maxWait: MAX_WAIT,
    clock,
    refusal: () => problem("too_many_requests", refusal, { retryAfter: RETRY_AFTER }),
    ...(onRefused ? { onRefused } : {}),
  });
}
