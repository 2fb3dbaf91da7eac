import { problem } from "../../lib/errors.ts";

/** Bytes. Smaller ones are not counted: of those, nobody sends enough in a minute. */
const LARGE = 64 * 1024;
/** Bytes of large bodies that one process holds: while they come, and until they are answered. */
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

export type LargeBodies = ReturnType<typeof createLargeBodies>;

/**
 * Lets large bodies come where there is memory for them.
 *
 * @param onRefused told of each that was refused because of others of its sender
 */
export function createLargeBodies({ onRefused }: { onRefused: () => void }) {
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
     * Reads a body and answers its request.
     *
     * @throws too_many_requests when too much of this sender's is here; unavailable when too much of everybody's is; what
     * `read` and `answer` throw
     */
    async take<T>({ sender, bytes, read }: Incoming, answer: (body: Buffer) => Promise<T>): Promise<T> {
      if (bytes < LARGE) return answer(await read());
      if ((held.get(sender) ?? 0) + bytes > ROOM.ofOne) {
        onRefused();
        throw problem("too_many_requests", "You send too many large bodies at a time. Please wait.", {
          retryAfter: RETRY_AFTER,
        });
      }
      if (heldOfAll + bytes > ROOM.ofAll) {
        throw problem("unavailable", "More large bodies are being sent than can be read.", {
          retryAfter: RETRY_AFTER,
        });
      }
      hold(sender, bytes);
      try {
        return await answer(await read());
      } finally {
        hold(sender, -bytes);
      }
    },
  };
}
