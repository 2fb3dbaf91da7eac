import { setTimeout as delay } from "node:timers/promises";
import { query } from "../../tests/support/database.ts";
import type { Person } from "./person.ts";

export interface Verdict {
  /** Acknowledged writes that the log does not hold, changes that a stream never told, and wrong reads. */
  lost: string[];
  /** Writes that were done twice, and changes that a stream told twice. */
  doubled: string[];
}

/** Milliseconds that streams may take to tell the last changes: more than one heartbeat. */
const CATCH_UP = 20_000;

interface Change {
  user_id: string;
  seq: string;
  op: string;
  task_id: string;
  version: number;
  title: string | null;
}

/** Compares what was acknowledged and told with the log itself, each time with what is new. */
export function openLedger(databaseUrl: string, people: readonly Person[]) {
  const told = new Map<string, number>();

  const readLog = async (): Promise<Change[]> =>
    JSON.parse(
      JSON.stringify(
        await query(
          databaseUrl,
          "SELECT user_id, seq, op, task_id, version, title FROM tasks.task_changes ORDER BY seq",
        ),
      ),
    );

  async function caughtUp(): Promise<void> {
    for (const end = Date.now() + CATCH_UP; Date.now() < end; await delay(200)) {
      const heads = await query(databaseUrl, "SELECT user_id, seq FROM tasks.change_heads");
      const seqOf = new Map(heads.map(({ user_id, seq }) => [user_id, Number(seq)]));
      if (people.every(({ userId, events }) => (events.seqs.at(-1) ?? 0) >= (seqOf.get(userId) ?? 0) - 3))
        return;
    }
  }

  return async (): Promise<Verdict> => {
    const due = people.map(({ acknowledged, wrongReads }) => ({
      writes: acknowledged.splice(0),
      wrong: wrongReads.splice(0),
    }));
    await caughtUp();
    const log = await readLog();
    const found = new Set(
      log.flatMap(({ op, task_id, version, title }) => [
        `${op} ${task_id}`,
        `${op} ${task_id} ${version} ${title}`,
      ]),
    );
    const lost = due.flatMap(({ writes, wrong }) => [
      ...wrong,
      ...writes
        .map(({ op, taskId, version, title }) =>
          op === "delete" ? `${op} ${taskId}` : `${op} ${taskId} ${version} ${title}`,
        )
        .filter((key) => !found.has(key)),
    ]);
    const doubled: string[] = [];
    const times = new Map<string, number>();
    for (const { op, task_id, title } of log) {
      const key = op === "delete" ? `delete ${task_id}` : `write ${title}`;
      times.set(key, (times.get(key) ?? 0) + 1);
    }
    for (const [key, count] of times)
      if (count > 1 && !reported.has(key)) doubled.push(`${key}: ${count} times`);
    for (const [key, count] of times) if (count > 1) reported.add(key);

    for (const { userId, events } of people) {
      const from = told.get(userId) ?? 0;
      const fresh = events.seqs.slice(from);
      told.set(userId, from + fresh.length);
      let before = events.seqs[from - 1];
      for (const seq of fresh) {
        if (before !== undefined && seq > before + 1)
          lost.push(`${userId}: no event between ${before} and ${seq}`);
        if (before !== undefined && seq <= before) doubled.push(`${userId}: event ${seq} after ${before}`);
        before = seq;
      }
    }
    return { lost, doubled };
  };
}

const reported = new Set<string>();
