import { type BoundedQueue, type BoundedQueueOptions, createBoundedQueue } from "../../lib/bounded-queue.ts";
import { problem } from "../../lib/errors.ts";

/**
 * Of one person, at a time, by one process. A search that also counts takes two connections to the database: of ten, six are
 * left for others.
 */
const RUNNING = 2;
/** Milliseconds: half of what the gateway waits for a call. */
const MAX_WAIT = 2_000;
const LIMITS = { running: RUNNING, waiting: 20, maxWait: MAX_WAIT };
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

export type LongReads = ReturnType<typeof createLongReads>;

/**
 * Searches, counts and statistics take as long as somebody has tasks, up to the seconds after which they are given up.
 * Each person's wait for each other, and for nobody else's.
 */
export function createLongReads({ clock, onRefused }: Pick<BoundedQueueOptions, "clock" | "onRefused">) {
  const people = new Map<string, { queue: BoundedQueue; reads: number }>();

  return {
    /** @throws too_many_requests when too many of this person's wait, or one has waited for too long */
    async inTurn<T>(userId: string, read: () => Promise<T>): Promise<T> {
      const person = people.get(userId) ?? {
        queue: createBoundedQueue({ ...LIMITS, clock, refusal, ...(onRefused ? { onRefused } : {}) }),
        reads: 0,
      };
      people.set(userId, person);
      person.reads += 1;
      try {
        return await person.queue.run(read);
      } finally {
        person.reads -= 1;
        if (person.reads === 0) people.delete(userId);
      }
    },

    /** How many people have reads that run or wait. */
    people: (): number => people.size,
  };
}

const refusal = (): Error =>
  problem("too_many_requests", "You search and count too much at a time. Please wait.", {
    retryAfter: RETRY_AFTER,
  });
