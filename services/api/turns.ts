import type { ServerResponse } from "node:http";
import { finished } from "node:stream";
import { problem } from "../../lib/errors.ts";
import { createFairQueue } from "../../lib/fair-queue.ts";

/**
 * Of one person, of each kind, in one process: more than a browser has connections. What is asked and answered can be
 * megabytes, several times on its way: at its service, at RabbitMQ and here. All of them have to be parsed and printed by
 * one thread.
 */
const AT_A_TIME = { read: 16, write: 8 };
const WAITING = 600;
/** Milliseconds: half of what a request may take, as the rest of it has to be done, too. */
const MAX_WAIT = 2_000;
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;
const REFUSALS = {
  read: "You read too much at a time. Please wait.",
  write: "You change too much at a time. Please wait.",
};

export type TurnKind = keyof typeof REFUSALS;
export type Turns = ReturnType<typeof createTurns>;

interface TurnOptions {
  clock: () => number;
  onRefused: (kind: TurnKind) => void;
}

/** Requests of people: each one's wait for each other, and for nobody else's; reads not for writes. */
export function createTurns({ clock, onRefused }: TurnOptions) {
  const queueOf = (kind: TurnKind) =>
    createFairQueue({
      running: AT_A_TIME[kind],
      waiting: WAITING,
      maxWait: MAX_WAIT,
      clock,
      refusal: () => problem("too_many_requests", REFUSALS[kind], { retryAfter: RETRY_AFTER }),
      onRefused: () => onRefused(kind),
    });
  const queues = { read: queueOf("read"), write: queueOf("write") };

  return {
    /**
     * Answers a request. Its turn is over when the client has taken the answer.
     *
     * @throws too_many_requests when too many of this person's wait, or one has waited for too long; what `answer` throws
     */
    async inTurn(
      { userId, kind }: { userId: string; kind: TurnKind },
      response: ServerResponse,
      answer: () => Promise<void>,
    ): Promise<void> {
      if (response.socket === null) await isNext(response);
      await queues[kind].inTurn(userId, async () => {
        await answer();
        await new Promise<void>((resolve) => finished(response, () => resolve()));
      });
    },
  };
}

/**
 * Resolves when all answers before this one of its connection are out, or the connection is gone. Otherwise a turn could be
 * held by an answer behind one that waits for a turn.
 */
const isNext = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    response.once("socket", () => resolve()).once("close", () => resolve());
  });
