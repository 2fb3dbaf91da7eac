import { setTimeout as delay } from "node:timers/promises";
import { type Outcome, openClient } from "./client.ts";
import { openLedger } from "./ledger.ts";
import { startPerson } from "./person.ts";

/** Successes in a row that count as recovered. */
const ENOUGH = 30;
/** Milliseconds that a recovery may take. */
const GOAL = 10_000;
/** Milliseconds after which a recovery is not waited for any more. */
const GIVEN_UP = 30_000;
/** Milliseconds that an answer may take, and what a busy machine adds to it. */
const PROMISED = 5_000;

export interface Row {
  fault: string;
  requests: number;
  failed: number;
  /** Whether failures are expected, as 503: what all need is away. */
  outage: boolean;
  slowestMs: number;
  /** From the end of the fault to the first of so many successes in a row; null when they did not come. */
  recoveredMs: number | null;
  lost: number;
  doubled: number;
  /** Processes that ended by themselves. */
  died: number;
}

interface Scripted {
  name: string;
  outage: boolean;
  inject(): Promise<void>;
  heal(): Promise<void>;
  died(): string[];
}

const isSuccess = ({ status }: Outcome): boolean => status >= 200 && status < 300;

export const isGood = (row: Row): boolean =>
  row.lost + row.doubled + row.died === 0 &&
  (row.outage || row.failed === 0) &&
  row.slowestMs <= PROMISED &&
  row.recoveredMs !== null &&
  row.recoveredMs <= GOAL;

/** People who use a system while it is broken. */
export async function openScene(gateways: readonly string[], databaseUrl: string, count: number) {
  let outcomes: Outcome[] = [];
  const client = openClient(gateways, (outcome) => outcomes.push(outcome));
  const people = await Promise.all(Array.from({ length: count }, () => startPerson(client, gateways)));
  const judge = openLedger(databaseUrl, people);
  await delay(3_000);

  async function recovery(since: number): Promise<number | null> {
    for (;;) {
      const later = outcomes.filter(({ at, ms }) => at - ms >= since);
      const lastFailure = later.findLastIndex((outcome) => !isSuccess(outcome));
      if (later.length - lastFailure - 1 >= ENOUGH) {
        return lastFailure === -1 ? 0 : Math.round((later[lastFailure]?.at ?? since) - since);
      }
      if (performance.now() - since > GIVEN_UP) return null;
      await delay(100);
    }
  }

  return {
    async play(fault: Scripted): Promise<Row> {
      outcomes = [];
      await fault.inject();
      await fault.heal();
      const recoveredMs = await recovery(performance.now());
      const during = outcomes;
      const { lost, doubled } = await judge();
      const died = fault.died();
      const failures = during.filter((outcome) => !isSuccess(outcome));
      for (const [what, { length }] of Map.groupBy(failures, ({ what, status }) => `${what} ${status}`))
        console.error(`    ${length} × ${what}`);
      for (const each of [...lost, ...doubled, ...died].slice(0, 10)) console.error(`    ${each}`);
      const slowest = during.toSorted((a, b) => b.ms - a.ms)[0];
      return {
        fault: fault.name,
        requests: during.length,
        failed: failures.length,
        outage: fault.outage,
        slowestMs: Math.round(slowest?.ms ?? 0),
        recoveredMs,
        lost: lost.length,
        doubled: doubled.length,
        died: died.length,
      };
    },
    async close(): Promise<void> {
      await Promise.all(people.map((person) => person.stop()));
      await client.close();
    },
  };
}
