import type { ServerResponse } from "node:http";
import { createFairQueue, type WaitForThem } from "../../lib/fair-queue.ts";

/**
 * Of one person, in one process: so many at a time, more than a browser has connections, and so many more wait. What is
 * asked and answered can be megabytes, several times on its way: at its service, at RabbitMQ and here. All of them have to
 * be parsed and printed by one thread.
 */
const KINDS = {
  read: { running: 16, waiting: 600, detail: "You read too much at a time. Please wait." },
  write: { running: 8, waiting: 600, detail: "You change too much at a time. Please wait." },
};

export type TurnKind = keyof typeof KINDS;
export type Turns = ReturnType<typeof createTurns>;

interface TurnOptions {
  clock: () => number;
  onRefused: (kind: TurnKind) => void;
}

/** Requests of people: each one's wait for each other, and for nobody else's; reads not for writes. */
export function createTurns({ clock, onRefused }: TurnOptions) {
  const queueOf = (kind: TurnKind) =>
    createFairQueue({ ...KINDS[kind], clock, onRefused: () => onRefused(kind) });
  const queues = { read: queueOf("read"), write: queueOf("write") };

  return {
    /**
     * Answers a request. Its turn is over when the client has taken the answer.
     *
     * @throws too_many_requests when too many of this person's wait, or one has waited for too long; unavailable when that is no
     * fault of theirs; what `answer` throws
     */
    inTurn: (
      { userId, kind }: { userId: string; kind: TurnKind },
      response: ServerResponse,
      answer: (waitForThem: WaitForThem) => Promise<void>,
    ): Promise<void> =>
      queues[kind].inTurn(userId, async (waitForThem) => {
        await answer(waitForThem);
        await waitForThem(() => closed(response));
      }),
  };
}

/** Resolves when the client has taken the answer, or left. */
const closed = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    if (response.closed) resolve();
    else response.once("close", resolve);
  });
