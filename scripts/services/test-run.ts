import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { onParentGone } from "../parent.ts";
import { killOwned, spawnOwned } from "./owned-process.ts";
import { openPostgres } from "./postgres.ts";
import { openRabbitMq } from "./rabbitmq.ts";
import { makeScratchFolder } from "./scratch-folder.ts";
import type { TestServer } from "./source.ts";
import { judge, type Verdict } from "./test-report.ts";

/** What tests run on, until `runTests` has ended. */
export interface TestRun {
  /** A folder that goes with the run. */
  directory: string;
  /** Aborted when the run is interrupted. */
  signal: AbortSignal;
  log: (line: string) => void;
  /** Runs Jest with these arguments, on the servers of the run. */
  jest: (args: string[], env?: Record<string, string>) => Promise<Verdict>;
}

/**
 * Finds or starts PostgreSQL and RabbitMQ (DATABASE_URL, AMQP_URL, those of this machine, or throw-away ones), lets
 * `work` run tests on them, and takes everything away again that was made. Sets the exit code.
 *
 * @param name what the lines that it prints begin with
 */
export async function runTests(name: string, work: (run: TestRun) => Promise<Verdict>): Promise<Verdict> {
  const { DATABASE_URL, AMQP_URL, CI } = process.env;
  const run = randomBytes(4).toString("hex");
  const directory = makeScratchFolder(run);
  const log = (line: string) => console.error(`[${name}] ${line}`);

  const interruption = new AbortController();
  let interruptedBy: NodeJS.Signals | undefined;
  const interrupt = (signal: NodeJS.Signals): void => {
    interruptedBy ??= signal;
    interruption.abort(signal);
    void killOwned(); // what waits for one of them goes on to its clean-up
  };
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
  onParentGone(() => interrupt("SIGTERM"));

  const opened: TestServer[] = [];
  const open = async (server: Promise<TestServer>): Promise<TestServer> => {
    opened.push(await server);
    return server;
  };

  async function onServers(): Promise<Verdict> {
    const options = { run, directory, log, signal: interruption.signal };
    const [postgres, rabbitmq] = await Promise.allSettled([
      open(openPostgres({ url: DATABASE_URL, ...options })),
      open(openRabbitMq({ url: AMQP_URL, ...options })),
    ]);
    if (postgres.status === "rejected") throw postgres.reason;
    if (rabbitmq.status === "rejected") throw rabbitmq.reason;
    interruption.signal.throwIfAborted();
    const servers = {
      DATABASE_URL: postgres.value.url,
      AMQP_URL: rabbitmq.value.url,
      TASKMESH_TEST_RUN: run,
    };
    const jest: TestRun["jest"] = (args, env = {}) =>
      runJest(directory, args, { ...servers, ...env }, CI === "true");
    return work({ directory, signal: interruption.signal, log, jest });
  }

  const verdict = await onServers().catch(failure);
  for (const server of opened) await server.release().catch((error) => log(`clean-up: ${error}`));
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });

  const complaints = interruptedBy ? [`stopped by ${interruptedBy}`] : verdict.complaints;
  for (const complaint of complaints) log(complaint);
  process.exitCode = verdict.failed + complaints.length === 0 ? 0 : 1;
  if (interruptedBy) process.exitCode = 128 + constants.signals[interruptedBy];
  return verdict;
}

async function runJest(
  directory: string,
  args: string[],
  env: Record<string, string>,
  strict: boolean,
): Promise<Verdict> {
  const reportFile = join(directory, "report.json");
  rmSync(reportFile, { force: true });
  const jest = ["node_modules/jest/bin/jest.js", "--config", "jest.config.ts"];
  const reporting = ["--json", `--outputFile=${reportFile}`];
  const exitCode = await spawnOwned(
    [process.execPath, ...jest, ...reporting, ...args],
    ["inherit", "inherit", "inherit"],
    { env: { ...process.env, ...env } },
  ).exited;
  const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, "utf8")) : null;
  return judge(report, exitCode, strict);
}

function failure(error: unknown): Verdict {
  return { passed: 0, failed: 1, complaints: [error instanceof Error ? error.message : String(error)] };
}
