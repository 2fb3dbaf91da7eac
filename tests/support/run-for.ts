import { runInNewContext } from "node:vm";

/**
 * Runs work that has to be over in time, in an environment that can be left while it runs: nothing else ends a regular
 * expression.
 *
 * @throws when it was not over
 */
export const runFor = (milliseconds: number, work: () => void): void => {
  runInNewContext("work()", { work }, { timeout: milliseconds });
};
