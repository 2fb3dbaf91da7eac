import { setImmediate as nextTurn } from "node:timers/promises";
import { housekeeping } from "./metrics.ts";

/** Milliseconds at the most until a chore that fails again and again is tried. */
const LONGEST_REST = 60_000;

/** Removes what has had its time, or does what was left for later. Every node does; one statement must not hold others up. */
export interface Chore {
  name: string;
  /** Milliseconds from one round to the next. */
  every: number;
  /** Does a part; how much that was, so that it is asked again until nothing is left. */
  part: () => Promise<number>;
}

interface Housekeeping {
  /** Ends it; resolves when nothing of it runs any more. */
  end: () => Promise<void>;
  /** What a chore failed for may be over: it is tried at its next interval. */
  hurry: () => void;
}

/** Does each of the chores now and then, whatever becomes of the others. One that fails is tried less and less often. */
export function keepHouse(chores: Chore[], onError: (error: unknown, chore: string) => void): Housekeeping {
  let isOver = false;

  /** Whether that did not fail. */
  async function round({ name, part }: Chore): Promise<boolean> {
    try {
      while (!isOver && (await part()) > 0) await nextTurn();
      return true;
    } catch (error) {
      onError(error, name);
      return false;
    }
  }

  const started = chores.map((chore) => {
    for (const result of ["done", "failed"]) housekeeping.inc({ chore: chore.name, result }, 0);
    const count = (result: "done" | "failed"): void => housekeeping.inc({ chore: chore.name, result });
    let running: Promise<void> | undefined;
    let failures = 0;
    /** Rounds to leave out. */
    let rest = 0;
    async function tryIt(): Promise<void> {
      if (await round(chore)) {
        failures = 0;
        count("done");
      } else {
        rest = Math.min(2 ** failures++, LONGEST_REST / chore.every) - 1;
        count("failed");
      }
      running = undefined;
    }
    const timer = setInterval(() => {
      if (running) return;
      // A round that is left out is none that went well: the alert goes by their share.
      if (rest-- > 0) count("failed");
      else running = tryIt();
    }, chore.every);
    const hurry = (): void => {
      failures = rest = 0;
    };
    return { timer, hurry, end: () => running };
  });

  return {
    async end() {
      isOver = true;
      for (const { timer } of started) clearInterval(timer);
      await Promise.all(started.map(({ end }) => end()));
    },
    hurry() {
      for (const { hurry } of started) hurry();
    },
  };
}
