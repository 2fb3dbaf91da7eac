import fc from "fast-check";
import { assertEverything } from "./support/model/everything.ts";
import { sequences } from "./support/model/operations.ts";
import { perform } from "./support/model/perform.ts";
import { buildWorld } from "./support/model/world.ts";
import { soakFor } from "./support/soak.ts";
import { systems } from "./support/systems.ts";

/*
 * Random sequences of every task operation of two people. Each answer is compared with what tests/support/model says,
 * which states the rules of the API once more. What fails is printed as short as it goes, with its seed:
 * `SOAK_SEED=<seed> npm test -- tests/model.test.ts` plays it again.
 */

/** Sequences in each mode; `npm run soak` goes on for minutes. */
const RUNS = 5;
const MAX_OPERATIONS = 60;

describe.each(systems)("what two people do, %s", (mode, system) => {
  test(
    "is answered as the rules say, whatever they do and in whatever order",
    () =>
      soakFor(`model, ${mode}`, async (seed) => {
        const answers: string[] = [];
        await fc.assert(
          fc.asyncProperty(sequences(Date.now(), MAX_OPERATIONS), async (sequence) => {
            const world = await buildWorld(system, answers);
            for (const operation of sequence) await perform(world, operation);
            await assertEverything(world);
          }),
          { numRuns: RUNS, ...(seed === undefined ? {} : { seed }) },
        );
        return { runs: RUNS, answers };
      }),
    soakFor.timeout,
  );
});
