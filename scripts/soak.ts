import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { parseArgs } from "node:util";
import type { Verdict } from "./services/test-report.ts";
import { runTests, type TestRun } from "./services/test-run.ts";

/*
 * npm run soak [-- --minutes 10 --seed 1]
 *
 * The model of the tasks API, clients that follow its log, and the contract suite, in both modes and again and again,
 * until the time is over or something fails. What fails prints its seed.
 */

/** Seconds that the random tests of one round go on in each mode; each round has systems of its own. */
const ROUND = 60;
/** Seconds that a round takes beside that: both modes start, and the contract suite runs. As the last one took. */
let beside = 60;

const SUITES = ["tests/model.test.ts", "tests/sync.test.ts", "tests/contract/"];

interface Counted {
  name: string;
  runs: number;
  answers: Record<string, number>;
}

const { values } = parseArgs({
  options: { minutes: { type: "string", default: "10" }, seed: { type: "string" } },
});
const minutes = Number(values.minutes);
const seed = Number(values.seed ?? Math.floor(Math.random() * 2 ** 31));
if (!(minutes > 0) || !Number.isInteger(seed)) {
  console.error("Usage: npm run soak [-- --minutes <number> --seed <integer>]");
  process.exit(2);
}

const startedAt = Date.now();
const secondsLeft = (): number => minutes * 60 - (Date.now() - startedAt) / 1000;
let rounds = 0;
let counted: Counted[] = [];

const { passed, failed } = await runTests("soak", async (run) => {
  run.log(`${minutes} minutes, seed ${seed}`);
  const verdict: Verdict = { passed: 0, failed: 0, complaints: [] };
  do {
    const round = await soakOnce(run);
    verdict.passed += round.passed;
    verdict.failed += round.failed;
    verdict.complaints.push(...round.complaints);
  } while (verdict.failed + verdict.complaints.length === 0 && secondsLeft() > beside && !run.signal.aborted);
  return verdict;
});

const kinds = new Set(counted.flatMap(({ answers }) => Object.keys(answers)));
const operations = counted
  .flatMap(({ answers }) => Object.values(answers))
  .reduce((sum, each) => sum + each, 0);
const sequences = counted.reduce((sum, { runs }) => sum + runs, 0);
console.log(
  `soak: ${((Date.now() - startedAt) / 60_000).toFixed(1)} minutes, ${rounds} rounds from seed ${seed}: ` +
    `${sequences} random sequences with ${operations} operations (${kinds.size} kinds of them), ` +
    `${passed} tests passed, ${failed} failed`,
);

async function soakOnce({ directory, jest }: TestRun): Promise<Verdict> {
  const before = secondsLeft();
  const counts = join(directory, "counts.jsonl");
  // Two modes, one after the other, beside the rest.
  const seconds = Math.max(5, Math.min(ROUND, (secondsLeft() - beside) / 2));
  const verdict = await jest(SUITES, {
    SOAK_SECONDS: seconds.toFixed(),
    SOAK_SEED: String(seed + rounds * 1_000),
    SOAK_COUNTS: counts,
  });
  rounds += 1;
  beside = before - secondsLeft() - 2 * seconds;
  const lines = existsSync(counts) ? readFileSync(counts, "utf8").trim().split("\n") : [];
  counted = lines.filter((line) => line !== "").map((line) => JSON.parse(line));
  return verdict;
}
