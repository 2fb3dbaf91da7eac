import { appendFileSync } from "node:fs";

/** What a soak has done in one round. */
interface Round {
  runs: number;
  requests: number;
}

/** Set by `npm run soak`: how long a test goes on, the seed of its first round, and the file that counts. */
const { SOAK_SECONDS, SOAK_SEED, SOAK_COUNTS } = process.env;
const seconds = Number(SOAK_SECONDS ?? 0);

/** Does it once; under `npm run soak` again and again until its time is over, each round with the next seed. */
export async function soakFor(
  name: string,
  round: (seed: number | undefined) => Promise<Round>,
): Promise<void> {
  const deadline = Date.now() + seconds * 1_000;
  const first = SOAK_SEED === undefined ? undefined : Number(SOAK_SEED);
  for (let index = 0; index === 0 || Date.now() < deadline; index += 1) {
    const done = await round(first === undefined ? undefined : first + index);
    if (SOAK_COUNTS) appendFileSync(SOAK_COUNTS, `${JSON.stringify({ name, ...done })}\n`);
  }
}

/** Milliseconds, for Jest. */
soakFor.timeout = (seconds + 120) * 1_000;
