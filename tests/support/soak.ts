import { appendFileSync } from "node:fs";

/** What a soak has done in one round. */
interface Round {
  runs: number;
  /** What was answered, in a word for each kind of answer. */
  answers: string[];
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
    const { runs, answers } = await round(first === undefined ? undefined : first + index);
    if (SOAK_COUNTS)
      appendFileSync(SOAK_COUNTS, `${JSON.stringify({ name, runs, answers: tally(answers) })}\n`);
  }
}

/** Milliseconds, for Jest. */
soakFor.timeout = (seconds + 120) * 1_000;

function tally(answers: string[]): Record<string, number> {
  const counts = Map.groupBy(answers, (answer) => answer);
  return Object.fromEntries([...counts].map(([answer, all]) => [answer, all.length]));
}
