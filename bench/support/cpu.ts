import type { ChildProcess } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import type { Client } from "pg";

/** Of Linux's clock in /proc; nearly everywhere 100 a second. */
const TICK_MICROS = 10_000;

/** Microseconds of processor time that a process has used; 0 where there is no /proc, or it has ended. */
function cpuOf(pid: number): number {
  try {
    const [, after = ""] = /\) (.*)$/s.exec(readFileSync(`/proc/${pid}/stat`, "utf8")) ?? [];
    const fields = after.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * TICK_MICROS;
  } catch {
    return 0;
  }
}

/** Processes by name, as they are when it is asked. */
export type Processes = Record<string, () => number[]>;

/** Those of a system that tests/support started. */
export const processesOf = (started: { name: string; child: ChildProcess }[]): Processes =>
  Object.fromEntries(started.map(({ name, child: { pid = 0 } }) => [name, () => [pid]]));

/** Starts to count; the returned function gives microseconds by name. */
export function countCpu(processes: Processes): () => Record<string, number> {
  const pids = Object.entries(processes).map(([name, find]): [string, number[]] => [name, find()]);
  const read = () =>
    pids.map(([name, ids]): [string, number] => [name, ids.reduce((sum, pid) => sum + cpuOf(pid), 0)]);
  const before = new Map(read());
  return () => Object.fromEntries(read().map(([name, micros]) => [name, micros - (before.get(name) ?? 0)]));
}

/** Processes whose command line has this in it; none where there is no /proc. */
export function processesWith(text: string): number[] {
  try {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => commandOf(pid).includes(text));
  } catch {
    return [];
  }
}

/** PostgreSQL's processes for the connections of others to this database. */
export async function findBackends(database: Client): Promise<number[]> {
  const { rows } = await database.query(
    "SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()",
  );
  return rows.map(({ pid }) => pid);
}

const commandOf = (pid: number): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8");
  } catch {
    return "";
  }
};
