import { type BoundedQueue, type BoundedQueueOptions, createBoundedQueue } from "./bounded-queue.ts";
import { problem, unavailable } from "./errors.ts";

/** Milliseconds: half of what a request may take, as the rest of it has to be done, too. */
const MAX_WAIT = 2_000;
/** Seconds a client is asked to wait. */
const RETRY_AFTER = 2;

export interface FairQueueOptions
  extends Pick<BoundedQueueOptions, "running" | "waiting" | "clock" | "onRefused"> {
  /** What whoever is refused for having too much is told. */
  detail: string;
}

export type FairQueue = ReturnType<typeof createFairQueue>;

/** Whoever has work that runs or waits. */
interface Person {
  queue: BoundedQueue;
  /** Of all their work. */
  count: number;
  /** Of what is done and keeps its turn. */
  kept: number;
  /** When some last succeeded, or the first of it was asked for. */
  doneAt: number;
}

/** A bounded queue each for whoever has work: theirs waits for theirs, and for nobody else's. */
export function createFairQueue({ detail, clock, onRefused, ...limits }: FairQueueOptions) {
  const people = new Map<string, Person>();

  function newPerson(): Person {
    // They may be refused for what is not theirs: a server that does not answer.
    const isStuck = (): boolean => person.kept === 0 && clock() - person.doneAt >= MAX_WAIT;
    const queue = createBoundedQueue({
      ...limits,
      clock,
      maxWait: MAX_WAIT,
      refusal: () =>
        isStuck() ? unavailable() : problem("too_many_requests", detail, { retryAfter: RETRY_AFTER }),
      onRefused: (reason) => {
        if (!isStuck()) onRefused?.(reason);
      },
    });
    const person: Person = { queue, count: 0, kept: 0, doneAt: clock() };
    return person;
  }

  return {
    /**
     * @param keeping resolves when the turn is over, which can be later than that the work is done
     * @throws too_many_requests when too many of this one's wait, or one has waited for too long; unavailable when nothing of
     * this one's succeeded meanwhile
     */
    async inTurn<T>(id: string, work: () => Promise<T>, keeping?: () => Promise<void>): Promise<T> {
      const person = people.get(id) ?? newPerson();
      people.set(id, person);
      person.count += 1;
      try {
        return await person.queue.run(async () => {
          const result = await work();
          person.doneAt = clock();
          if (keeping) {
            person.kept += 1;
            await keeping();
            person.kept -= 1;
          }
          return result;
        });
      } finally {
        person.count -= 1;
        if (person.count === 0) people.delete(id);
      }
    },

    /** How many people have work that runs or waits. */
    people: (): number => people.size,
  };
}
