import { Errors } from "moleculer";
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

/** Waits for something that whoever has the turn has to do: send the rest, take the answer. */
export type WaitForThem = <T>(theirs: () => Promise<T>) => Promise<T>;

/** Whoever has work that runs or waits. */
interface Person {
  queue: BoundedQueue;
  /** Of all their work. */
  count: number;
  /** Of the work that waits for them. */
  waitsForThem: number;
  /** When they last had an answer. What passes while work waits for them does not count. */
  answeredAt: number;
}

/** A bounded queue each for whoever has work: theirs waits for theirs, and for nobody else's. */
export function createFairQueue({ detail, clock, onRefused, ...limits }: FairQueueOptions) {
  const people = new Map<string, Person>();
  /** Of those who have left, for whoever comes next: to make one takes longer than all else here. As many as there ever were. */
  const places: Person[] = [];

  function newPerson(): Person {
    // A server that does not answer is no fault of theirs. By half: bodies took some of the time, and timers are not exact.
    const isStuck = (): boolean => person.waitsForThem === 0 && clock() - person.answeredAt >= MAX_WAIT / 2;
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
    const person: Person = { queue, count: 0, waitsForThem: 0, answeredAt: clock() };
    return person;
  }

  function enter(id: string): Person {
    const person = places.pop() ?? newPerson();
    person.answeredAt = clock();
    people.set(id, person);
    return person;
  }

  function leave(id: string, person: Person): void {
    people.delete(id);
    // Those that were refused while they waited leave their queue one by one.
    if (isEmpty(person.queue)) places.push(person);
  }

  return {
    /**
     * @throws too_many_requests when too many of this one's wait, or one has waited for too long; unavailable when nothing of
     * this one's was answered meanwhile, and none waited for them
     */
    async inTurn<T>(id: string, work: (waitForThem: WaitForThem) => Promise<T>): Promise<T> {
      const person = people.get(id) ?? enter(id);
      const waitForThem: WaitForThem = async (theirs) => {
        const beganAt = clock();
        person.waitsForThem += 1;
        try {
          return await theirs();
        } finally {
          person.waitsForThem -= 1;
          person.answeredAt = Math.min(clock(), person.answeredAt + clock() - beganAt);
        }
      };
      person.count += 1;
      try {
        return await person.queue.run(async () => {
          try {
            const result = await work(waitForThem);
            person.answeredAt = clock();
            return result;
          } catch (error) {
            if (isAnswer(error)) person.answeredAt = clock();
            throw error;
          }
        });
      } finally {
        person.count -= 1;
        if (person.count === 0) leave(id, person);
      }
    },

    /** How many people have work that runs or waits. */
    people: (): number => people.size,
  };
}

const isEmpty = (queue: BoundedQueue): boolean => {
  const { running, waiting } = queue.counts();
  return running + waiting === 0;
};

/** A refusal, not an outage: those could be tried again, by Moleculer's own word. */
const isAnswer = (error: unknown): boolean => error instanceof Errors.MoleculerError && !error.retryable;
