import fc from "fast-check";
import { assertEverything } from "./support/model/everything.ts";
import { type Operation, operations } from "./support/model/operations.ts";
import { perform } from "./support/model/perform.ts";
import { buildWorld } from "./support/model/world.ts";
import { soakFor } from "./support/soak.ts";
import { systems } from "./support/systems.ts";

/** Sequences in each mode; `npm run soak` goes on for minutes. */
const RUNS = 6;
const MAX_OPERATIONS = 60;

describe.each(systems)("what two people do, %s", (mode, system) => {
  async function play(sequence: Operation[]): Promise<number> {
    const world = await buildWorld(system);
    for (const operation of sequence) await perform(world, operation);
    await assertEverything(world);
    return world.count;
  }

  const sequences = fc.array(operations(Date.now()), {
    minLength: 1,
    maxLength: MAX_OPERATIONS,
    size: "max",
  });

  test(
    "is answered as the rules say, whatever they do and in whatever order",
    () =>
      soakFor(`model, ${mode}`, async (seed) => {
        let requests = 0;
        await fc.assert(
          fc.asyncProperty(sequences, async (sequence) => {
            requests += await play(sequence);
          }),
          { numRuns: RUNS, ...(seed === undefined ? {} : { seed }) },
        );
        return { runs: RUNS, requests };
      }),
    soakFor.timeout,
  );
});
