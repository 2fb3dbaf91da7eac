import { validationFailed } from "./errors.ts";

/** Values that an action's params may hold, those within others counted: a bulk of 500 full tasks has some 15,000. */
const MAX_VALUES = 20_000;

/** How many values there are, this one and those within it; stops counting when they are too many. */
export function countValues(input: unknown): number {
  const found = [input];
  // Not recursive: what is nested deeply must be counted, too.
  for (let next = 0; next < found.length && found.length <= MAX_VALUES; next += 1) {
    const value = found[next];
    if (typeof value !== "object" || value === null) continue;
    for (const each of Object.values(value)) found.push(each);
  }
  return found.length;
}

/**
 * Refuses what takes long to look at: to say what is wrong with each of the 350,000 values that fit into a megabyte, Joi
 * needs ten seconds, in which the process does nothing else.
 *
 * @throws validation_failed
 */
export function assertFewValues(count: number): void {
  if (count <= MAX_VALUES) return;
  const detail = `These are more than ${MAX_VALUES.toLocaleString("en")} values in all.`;
  throw validationFailed([{ path: [], code: "too_many", detail }]);
}
