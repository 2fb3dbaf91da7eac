import type { ServerResponse } from "node:http";
import { finished } from "node:stream";
import type { BoundedQueueOptions } from "../../lib/bounded-queue.ts";
import { problem } from "../../lib/errors.ts";
import { createFairQueue } from "../../lib/fair-queue.ts";

/**
 * Of one person, in one process: more than a browser has connections. A page of long tasks is megabytes, several times on
 * its way: at its service, at RabbitMQ and here.
 */
const TURNS = { running: 8, waiting: 600 };
/** Milliseconds: half of what a request may take, as the rest of it has to be done, too. */
const MAX_WAIT = 2_000;
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

export type Reads = ReturnType<typeof createReads>;

/** What people read: each one's reads wait for each other, and for nobody else's. */
export function createReads({
  clock,
  onRefused,
}: Required<Pick<BoundedQueueOptions, "clock" | "onRefused">>) {
  const refusal = () =>
    problem("too_many_requests", "You read too much at a time. Please wait.", { retryAfter: RETRY_AFTER });
  const turns = createFairQueue({ ...TURNS, maxWait: MAX_WAIT, clock, refusal, onRefused });

  return {
    /**
     * Answers a read. It is over when the client has taken the answer.
     *
     * @throws too_many_requests when one of this person's has waited for too long; what `answer` throws
     */
    inTurn: (userId: string, response: ServerResponse, answer: () => Promise<void>): Promise<void> =>
      turns.inTurn(userId, async () => {
        await answer();
        await taken(response);
      }),
  };
}

/** At once for an answer behind another one of its connection, which may itself wait for a turn. */
const taken = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (response.socket === null) resolve();
    else finished(response, () => resolve());
  });
