/**
 * Breaks a mesh of two processes of each service, one fault after another, while people use it:
 *
 *   npm run drill                 all faults, which takes some five minutes
 *   npm run drill -- "kill -9"    those whose name matches this
 *
 * It starts its own PostgreSQL and RabbitMQ, which have to be installed. Exits with 1 when a goal is missed.
 */
import { randomBytes } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { type Outcome, openClient } from "./drill/client.ts";
import { type Fault, faults } from "./drill/faults.ts";
import { openLedger } from "./drill/ledger.ts";
import { startDrillMesh } from "./drill/mesh.ts";
import { startPerson } from "./drill/person.ts";

const PEOPLE = 12;
/** Successes in a row that count as recovered. */
const ENOUGH = 30;
/** Milliseconds that a recovery may take. */
const GOAL = 10_000;
/** Milliseconds after which a recovery is not waited for any more. */
const GIVEN_UP = 30_000;
/** Milliseconds that an answer may take. */
const PROMISED = 5_000;

interface Row {
  fault: string;
  requests: number;
  failed: number;
  /** Whether failures are expected, as 503: what all need is away. */
  outage: boolean;
  slowestMs: number;
  recoveredMs: number | null;
  lost: number;
  doubled: number;
  /** Processes that ended by themselves. */
  died: number;
}

const [wanted = ""] = process.argv.slice(2);
const mesh = await startDrillMesh(randomBytes(4).toString("hex"));
let outcomes: Outcome[] = [];
const client = openClient(mesh.gateways, (outcome) => outcomes.push(outcome));
const isSuccess = ({ status }: Outcome): boolean => status >= 200 && status < 300;

const people = await Promise.all(Array.from({ length: PEOPLE }, () => startPerson(client, mesh.gateways)));
const judge = openLedger(mesh.databaseUrl, people);
await delay(3_000);

/** Milliseconds from then to the first of so many successes in a row; null when they did not come. */
async function recovery(since: number): Promise<number | null> {
  for (;;) {
    const later = outcomes.filter(({ at, ms }) => at - ms >= since || (at >= since && ms > PROMISED));
    const lastFailure = later.findLastIndex((outcome) => !isSuccess(outcome));
    if (later.length - lastFailure - 1 >= ENOUGH) {
      return lastFailure === -1 ? 0 : Math.round((later[lastFailure]?.at ?? since) - since);
    }
    if (performance.now() - since > GIVEN_UP) return null;
    await delay(100);
  }
}

async function run(fault: Fault): Promise<Row> {
  outcomes = [];
  await fault.inject(mesh);
  await fault.heal?.(mesh);
  const recoveredMs = await recovery(performance.now());
  const during = outcomes;
  const { lost, doubled } = await judge();
  const died = mesh.died();
  const failures = Map.groupBy(
    during.filter((outcome) => !isSuccess(outcome)),
    ({ what, status }) => `${what} ${status}`,
  );
  for (const [what, { length }] of failures) console.error(`    ${length} × ${what}`);
  for (const each of [...lost, ...doubled, ...died].slice(0, 10)) console.error(`    ${each}`);
  const slowest = during.toSorted((a, b) => b.ms - a.ms).slice(0, 2);
  console.error(`    slowest: ${slowest.map(({ what, ms }) => `${what} ${Math.round(ms)} ms`).join(", ")}`);
  return {
    fault: fault.name,
    requests: during.length,
    failed: during.filter((outcome) => !isSuccess(outcome)).length,
    outage: fault.outage,
    slowestMs: Math.round(slowest[0]?.ms ?? 0),
    recoveredMs,
    lost: lost.length,
    doubled: doubled.length,
    died: died.length,
  };
}

const isGood = (row: Row): boolean =>
  row.lost + row.doubled + row.died === 0 &&
  (row.outage || row.failed === 0) &&
  row.slowestMs <= PROMISED &&
  row.recoveredMs !== null &&
  row.recoveredMs <= GOAL;

const rows: Row[] = [];
for (const fault of faults.filter(({ name }) => new RegExp(wanted).test(name))) {
  console.error(`  ${fault.name}…`);
  rows.push(await run(fault));
  await delay(1_000);
}
await Promise.all(people.map((person) => person.stop()));
await client.close();
await mesh.stop();

console.log("| fault | requests | failed | slowest | recovered | lost | doubled |");
console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const { fault, requests, failed, outage, slowestMs, recoveredMs, lost, doubled } of rows) {
  const failures = outage && failed > 0 ? `${failed} (expected)` : failed;
  const recovered = recoveredMs === null ? "never" : `${recoveredMs} ms`;
  console.log(
    `| ${fault} | ${requests} | ${failures} | ${slowestMs} ms | ${recovered} | ${lost} | ${doubled} |`,
  );
}
if (wanted === "") {
  const results = new URL("results/", import.meta.url);
  mkdirSync(results, { recursive: true });
  const machine = { cpus: cpus().length, load: loadavg()[0] };
  writeFileSync(new URL("drill.json", results), `${JSON.stringify({ machine, faults: rows }, null, 2)}\n`);
}
const missed = rows.filter((row) => !isGood(row));
if (missed.length > 0) console.error(`Goals missed: ${missed.map(({ fault }) => fault).join("; ")}.`);
process.exit(missed.length > 0 ? 1 : 0);
