import { type BoundedQueue, type BoundedQueueOptions, createBoundedQueue } from "./bounded-queue.ts";

export type FairQueue = ReturnType<typeof createFairQueue>;

/** A bounded queue each for whoever has work: theirs waits for theirs, and for nobody else's. */
export function createFairQueue(options: BoundedQueueOptions) {
  const people = new Map<string, { queue: BoundedQueue; count: number }>();

  return {
    /** @throws the queue's refusal */
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
