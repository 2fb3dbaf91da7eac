import { readdirSync, readFileSync } from "node:fs";
import { getPriority, setPriority } from "node:os";

/** Less urgent than the process by so much: about a tenth of a core that it wants too, all of one that nobody wants. */
const NICENESS = 10;

/**
 * Lets the threads that hash (libuv's pool, whose threads all start with its first work) run only as far as event
 * loops leave time, this process's first of all: on Linux, where threads have priorities of their own.
 *
 * @returns how many threads there were
 */
export function yieldToEventLoops(): number {
  try {
    const threads = readdirSync("/proc/self/task").map(Number).filter(isOfPool);
    for (const thread of threads) setPriority(thread, Math.min(19, getPriority() + NICENESS));
    return threads.length;
  } catch {
    // Another system, or one that forbids it: hashing is as urgent there as everything else.
    return 0;
  }
}

const isOfPool = (thread: number): boolean =>
  readFileSync(`/proc/self/task/${thread}/comm`, "utf8").trim() === "libuv-worker";
