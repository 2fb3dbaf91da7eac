import pLimit from "p-limit";

export interface BoundedQueue {
  /** Refuses what would be refused anyway, before anything is done for it. @throws the queue's refusal */
  assertRoom(): void;
  /** @throws the queue's refusal */
  run<T>(work: () => Promise<T>): Promise<T>;
  counts(): { running: number; waiting: number };
}

export interface BoundedQueueOptions {
  running: number;
  waiting: number;
  /** Milliseconds after which work is not begun any more: whoever asked for it has given up, or soon will. */
  maxWait: number;
  clock: () => number;
  refusal: () => Error;
  /** Told how long each waited for its turn, in milliseconds. */
  onTurn?: (waited: number) => void;
  /** Told of each that was refused: at once, or when its turn had not come in time. */
  onRefused?: (reason: "full" | "late") => void;
}

/**
 * Runs at most `running` pieces of work at once and lets at most `waiting` more wait; any beyond are refused at once, and
 * those whose turn has not come in time, then.
 */
export function createBoundedQueue(options: BoundedQueueOptions): BoundedQueue {
  const { running, waiting, maxWait, clock, refusal, onTurn = () => {}, onRefused = () => {} } = options;
  const limit = pLimit(running);
  const assertRoom = (): void => {
    if (limit.activeCount + limit.pendingCount < running + waiting) return;
    onRefused("full");
    throw refusal();
  };
  return {
    assertRoom,
    async run(work) {
      assertRoom();
      const mustWait = limit.activeCount + limit.pendingCount >= running;
      const askedAt = clock();
      const { promise: late, reject } = Promise.withResolvers<never>();
      let isLate = false;
      const refuse = (): void => {
        isLate = true;
        onRefused("late");
        reject(refusal());
      };
      // Those before it may take for ever.
      const timer = mustWait ? setTimeout(refuse, maxWait) : undefined;
      const done = limit(() => {
        clearTimeout(timer);
        if (isLate) return late;
        const waited = clock() - askedAt;
        onTurn(waited);
        if (waited <= maxWait) return work();
        refuse();
        return late;
      });
      return Promise.race([done, late]);
    },
    counts: () => ({ running: limit.activeCount, waiting: limit.pendingCount }),
  };
}
