import type { BoundedQueueOptions } from "../../lib/bounded-queue.ts";
import { problem } from "../../lib/errors.ts";
import { createFairQueue } from "../../lib/fair-queue.ts";

/** Bytes. To parse one and send it on takes the gateway's only thread for milliseconds, one of 1 MiB for tens. */
const LARGE = 64 * 1024;
/** Of one sender, in one process: two keep a service's turns for writes busy, and leave time between them for others. */
const TURNS = { running: 2, waiting: 50 };
/** Milliseconds: half of what a request may take, as the rest of it has to be done, too. */
const MAX_WAIT = 2_000;
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

interface LargeBody {
  /** A person, or the network of somebody who is not known. */
  sender: string;
  bytes: number;
}

export type LargeBodies = ReturnType<typeof createLargeBodies>;

/** Requests with large bodies: each sender's wait for each other, and for nobody else's. */
export function createLargeBodies({ clock, onRefused }: Pick<BoundedQueueOptions, "clock" | "onRefused">) {
  const turns = createFairQueue({
    ...TURNS,
    maxWait: MAX_WAIT,
    clock,
    refusal: () =>
      problem("too_many_requests", "You send too many large bodies at a time. Please wait.", {
        retryAfter: RETRY_AFTER,
      }),
    ...(onRefused ? { onRefused } : {}),
  });

  return {
    /**
     * Reads a body and answers its request; at once, unless it is large.
     *
     * @throws too_many_requests when too many of this sender's wait, or one has waited for too long
     */
    inTurn: <T>({ sender, bytes }: LargeBody, work: () => Promise<T>): Promise<T> =>
      bytes < LARGE ? work() : turns.inTurn(sender, work),
  };
}
