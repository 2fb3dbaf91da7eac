import { validationFailed } from "./errors.ts";

/** Values that an action's params may hold, those within others counted: a bulk of 500 full tasks has some 15,000. */
const MAX_VALUES = 20_000;

/**
 * How many values there are: this one and those within it. More are refused, because they take long to look at: to say
 * what is wrong with each of the 350,000 that fit into a megabyte, Joi needs ten seconds, in which the process does
 * nothing else.
 *
 * @throws validation_failed
 */
export function countValues(input: unknown): number {
  const found = [input];
  // Not recursive: what is nested deeply must be counted, too.
  for (let next = 0; next < found.length; next += 1) {
    const value = found[next];
    if (typeof value !== "object" || value === null) continue;
    for (const each of Object.values(value)) found.push(each);
    if (found.length > MAX_VALUES) throw tooManyValues();
  }
  return found.length;
}

const tooManyValues = (): Error =>
  validationFailed([
    {
      path: [],
      code: "too_many",
      detail: `These are more than ${MAX_VALUES.toLocaleString("en")} values in all.`,
    },
  ]);
