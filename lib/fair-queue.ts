import { type BoundedQueue, type BoundedQueueOptions, createBoundedQueue } from "./bounded-queue.ts";
import { problem } from "./errors.ts";

/** Milliseconds: half of what a request may take, as the rest of it has to be done, too. */
const MAX_WAIT = 2_000;
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

export interface FairQueueOptions
  extends Pick<BoundedQueueOptions, "running" | "waiting" | "clock" | "onRefused"> {
  /** What whoever is refused is told. */
  detail: string;
}

export type FairQueue = ReturnType<typeof createFairQueue>;

/** A bounded queue each for whoever has work: theirs waits for theirs, and for nobody else's. */
export function createFairQueue({ detail, ...queue }: FairQueueOptions) {
  const options: BoundedQueueOptions = {
    ...queue,
    maxWait: MAX_WAIT,
    refusal: () => problem("too_many_requests", detail, { retryAfter: RETRY_AFTER }),
  };
  const people = new Map<string, { queue: BoundedQueue; count: number }>();

  return {
    /** @throws too_many_requests when too many of this one's wait, or one has waited for too long */
    async inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
      const person = people.get(id) ?? { queue: createBoundedQueue(options), count: 0 };
      people.set(id, person);
      person.count += 1;
      try {
        return await person.queue.run(work);
      } finally {
        person.count -= 1;
        if (person.count === 0) people.delete(id);
      }
    },

    /** How many people have work that runs or waits. */
    people: (): number => people.size,
  };
}
