import { setImmediate as nextTurn } from "node:timers/promises";
import { housekeeping } from "./metrics.ts";

/** Removes what has had its time, or does what was left for later. Every node does; one statement must not hold others up. */
export interface Chore {
  name: string;
  /** Milliseconds from one round to the next. */
  every: number;
  /** Does a part; how much that was, so that it is asked again until nothing is left. */
  part: () => Promise<number>;
}

/**
 * Does each of the chores now and then, whatever becomes of the others.
 *
 * @returns what ends that, and resolves when nothing of it runs any more
 */
export function keepHouse(
  chores: Chore[],
  onError: (error: unknown, chore: string) => void,
): () => Promise<void> {
  let isOver = false;

  async function round({ name, part }: Chore): Promise<void> {
    let result = "done";
    try {
      while (!isOver && (await part()) > 0) await nextTurn();
    } catch (error) {
      result = "failed";
      onError(error, name);
    }
    housekeeping.inc({ chore: name, result });
  }

  const started = chores.map((chore) => {
    for (const result of ["done", "failed"]) housekeeping.inc({ chore: chore.name, result }, 0);
    let running: Promise<void> | undefined;
    const timer = setInterval(() => {
      running ??= round(chore).finally(() => {
        running = undefined;
      });
    }, chore.every);
    return { timer, end: () => running };
  });

  return async () => {
    isOver = true;
    for (const { timer } of started) clearInterval(timer);
    await Promise.all(started.map(({ end }) => end()));
  };
}
