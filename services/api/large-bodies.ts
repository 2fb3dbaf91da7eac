import type { BoundedQueueOptions } from "../../lib/bounded-queue.ts";
import { problem } from "../../lib/errors.ts";
import { createFairQueue } from "../../lib/fair-queue.ts";

/** Bytes. To parse one and send it on takes the gateway's only thread for milliseconds, one of 1 MiB for tens. */
const LARGE = 64 * 1024;
/** Of one sender, in one process: two keep a service's turns for writes busy, and leave time between them for others. */
const TURNS = { running: 2, waiting: 50 };
/** Milliseconds: half of what a request may take, as the rest of it has to be done, too. */
const MAX_WAIT = 2_000;
/** Bytes of large bodies that one process holds: while they come, wait, and are parsed. */
const ROOM = { ofOne: 32 * 2 ** 20, ofAll: 128 * 2 ** 20 };
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

interface Incoming {
  /** A person, or the network of somebody who is not known. */
  sender: string;
  /** How long the body may be. */
  bytes: number;
  read: () => Promise<Buffer>;
}

interface LargeBodiesOptions extends Pick<BoundedQueueOptions, "clock"> {
  /** Told of each that was refused because of others of its sender. */
  onRefused: () => void;
}

export type LargeBodies = ReturnType<typeof createLargeBodies>;

const tooMany = (): Error =>
  problem("too_many_requests", "You send too many large bodies at a time. Please wait.", {
    retryAfter: RETRY_AFTER,
  });

/** Requests with large bodies: a sender's wait for each other, and all together leave memory for everything else. */
export function createLargeBodies({ clock, onRefused }: LargeBodiesOptions) {
  const turns = createFairQueue({ ...TURNS, maxWait: MAX_WAIT, clock, refusal: tooMany, onRefused });
  const held = new Map<string, number>();
  let heldOfAll = 0;

  function hold(sender: string, bytes: number): void {
    const left = (held.get(sender) ?? 0) + bytes;
    if (left > 0) held.set(sender, left);
    else held.delete(sender);
    heldOfAll += bytes;
  }

  return {
    /**
     * Reads a body and answers its request: at once unless it is large, else when it is its sender's turn.
     *
     * @throws too_many_requests when too many of this sender's come or wait, or one has waited for too long; unavailable;
     * what `read` and `answer` throw
     */
    async take<T>({ sender, bytes, read }: Incoming, answer: (body: Buffer) => Promise<T>): Promise<T> {
      if (bytes < LARGE) return answer(await read());
      if ((held.get(sender) ?? 0) + bytes > ROOM.ofOne) {
        onRefused();
        throw tooMany();
      }
      if (heldOfAll + bytes > ROOM.ofAll) {
        throw problem("unavailable", "More large bodies are being sent than can be read.", {
          retryAfter: RETRY_AFTER,
        });
      }
      hold(sender, bytes);
      try {
        const body = await read();
        return await (body.length < LARGE ? answer(body) : turns.inTurn(sender, () => answer(body)));
      } finally {
        hold(sender, -bytes);
      }
    },
  };
}
