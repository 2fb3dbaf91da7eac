import { validationFailed } from "./errors.ts";

/** Values that an action's params may hold, those within others counted: a bulk of 500 full tasks has some 15,000. */
const MAX_VALUES = 20_000;
/** Levels of values within others: what is recursive must not run out of stack. Nothing of ours has ten. */
const MAX_DEPTH = 100;

/**
 * Refuses what takes long to look at: to say what is wrong with each of the 350,000 values that fit into a megabyte, Joi
 * needs ten seconds, in which the process does nothing else.
 *
 * @returns how many values there are, this one and those within it
 * @throws validation_failed
 */
export function countValues(input: unknown): number {
  let count = 0;
  let depth = 0;
  // Level by level, not recursive: what is nested deeply must be counted, too.
  for (let level = [input]; level.length > 0; level = level.flatMap(valuesIn)) {
    count += level.length;
    depth += 1;
    if (count > MAX_VALUES)
      throw refused("too_many", `These are more than ${MAX_VALUES.toLocaleString("en")} values in all.`);
    if (depth > MAX_DEPTH) throw refused("too_deep", `These are more than ${MAX_DEPTH} levels of values.`);
  }
  return count;
}

const valuesIn = (value: unknown): unknown[] =>
  typeof value === "object" && value !== null ? Object.values(value) : [];

const refused = (code: string, detail: string): Error => validationFailed([{ path: [], code, detail }]);
