import { randomBytes } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import { constants } from "node:os";
import { join } from "node:path";
import { onParentGone } from "./parent.ts";
import { killOwned, spawnOwned } from "./services/owned-process.ts";
import { openPostgres } from "./services/postgres.ts";
import { openRabbitMq } from "./services/rabbitmq.ts";
import { makeScratchFolder } from "./services/scratch-folder.ts";
import type { TestServer } from "./services/source.ts";
import { judge, type Verdict } from "./services/test-report.ts";

/*
 * npm test [-- Jest's arguments]
 *
 * Runs the tests on a real PostgreSQL and a real RabbitMQ: those of DATABASE_URL and AMQP_URL, those that run on
 * this machine, or throw-away ones. Afterwards what was found is as it was, and what was made is gone.
 */

const { DATABASE_URL, AMQP_URL, CI } = process.env;
const run = randomBytes(4).toString("hex");
const directory = makeScratchFolder(run);
const log = (line: string) => console.error(`[test] ${line}`);

const interruption = new AbortController();
let interruptedBy: NodeJS.Signals | undefined;
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
onParentGone(() => interrupt("SIGTERM"));

const opened: TestServer[] = [];
const { passed, failed, complaints } = await runTests().catch(failure);
for (const server of opened) await server.release().catch((error) => log(`clean-up: ${error}`));
rmSync(directory, { recursive: true, force: true, maxRetries: 10 });

for (const complaint of interruptedBy ? [`stopped by ${interruptedBy}`] : complaints) log(complaint);
console.log(`${passed} passed, ${failed} failed`);
process.exitCode = failed + complaints.length === 0 ? 0 : 1;
if (interruptedBy) process.exitCode = 128 + constants.signals[interruptedBy];

async function runTests(): Promise<Verdict> {
  const options = { run, directory, log, signal: interruption.signal };
  const open = async (server: Promise<TestServer>): Promise<TestServer> => {
    opened.push(await server);
    return server;
  };
  const [postgres, rabbitmq] = await Promise.allSettled([
    open(openPostgres({ url: DATABASE_URL, ...options })),
    open(openRabbitMq({ url: AMQP_URL, ...options })),
  ]);
  if (postgres.status === "rejected") throw postgres.reason;
  if (rabbitmq.status === "rejected") throw rabbitmq.reason;
  interruption.signal.throwIfAborted();
  return runJest({
    DATABASE_URL: postgres.value.url,
    AMQP_URL: rabbitmq.value.url,
    TASKMESH_TEST_RUN: run,
  });
}

async function runJest(servers: Record<string, string>): Promise<Verdict> {
  const reportFile = join(directory, "report.json");
  const jest = ["node_modules/jest/bin/jest.js", "--config", "jest.config.ts"];
  const reporting = ["--json", `--outputFile=${reportFile}`];
  const exitCode = await spawnOwned(
    [process.execPath, ...jest, ...reporting, ...process.argv.slice(2)],
    ["inherit", "inherit", "inherit"],
    { env: { ...process.env, ...servers } },
  ).exited;
  const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, "utf8")) : null;
  return judge(report, exitCode, CI === "true");
}

function failure(error: unknown): Verdict {
  return { passed: 0, failed: 1, complaints: [error instanceof Error ? error.message : String(error)] };
}

function interrupt(signal: NodeJS.Signals): void {
  interruptedBy ??= signal;
  interruption.abort(signal);
  void killOwned(); // what waits for one of them goes on to its clean-up
}
