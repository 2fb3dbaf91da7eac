import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { constants } from "node:os";
import { onParentGone } from "../parent.ts";
import { killOwned } from "./owned-process.ts";
import { openPostgres } from "./postgres.ts";
import { openRabbitMq } from "./rabbitmq.ts";
import { makeScratchFolder } from "./scratch-folder.ts";
import type { TestServer } from "./source.ts";

/** What work has until it ends. */
export interface Servers {
  /** A folder that goes with the work. */
  directory: string;
  /** Aborted when the work is interrupted. */
  signal: AbortSignal;
  log: (line: string) => void;
  /** For the programs that do the work: this process's, with DATABASE_URL, AMQP_URL and a name for all they make there. */
  env: NodeJS.ProcessEnv;
}

/**
 * Finds or starts PostgreSQL and RabbitMQ (DATABASE_URL, AMQP_URL, those of this machine, or throw-away ones), lets
 * `work` use them, and takes everything away again that was made. Ends the process's programs when it is interrupted.
 *
 * @param name what the lines that it prints begin with
 * @param work resolves to the process's exit code; what it throws is printed, and the code is 1
 */
export async function onServers(name: string, work: (servers: Servers) => Promise<number>): Promise<void> {
  const { DATABASE_URL, AMQP_URL } = process.env;
  const run = randomBytes(4).toString("hex");
  const directory = makeScratchFolder(run);
  const log = (line: string) => console.error(`[${name}] ${line}`);

  const interruption = new AbortController();
  const { signal } = interruption;
  let interruptedBy: NodeJS.Signals | undefined;
  const interrupt = (by: NodeJS.Signals): void => {
    interruptedBy ??= by;
    interruption.abort(by);
    void killOwned(); // what waits for one of them goes on to its clean-up
  };
  for (const each of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(each, interrupt);
  onParentGone(() => interrupt("SIGTERM"));

  const opened: TestServer[] = [];
  const open = async (server: Promise<TestServer>): Promise<string> => {
    const found = await server;
    opened.push(found);
    return found.url;
  };

  async function whatItNeeds(): Promise<NodeJS.ProcessEnv> {
    const options = { run, directory, log, signal };
    const [postgres, rabbitmq] = await Promise.allSettled([
      open(openPostgres({ url: DATABASE_URL, ...options })),
      open(openRabbitMq({ url: AMQP_URL, ...options })),
    ]);
    if (postgres.status === "rejected") throw postgres.reason;
    if (rabbitmq.status === "rejected") throw rabbitmq.reason;
    signal.throwIfAborted();
    const servers = { DATABASE_URL: postgres.value, AMQP_URL: rabbitmq.value, TASKMESH_TEST_RUN: run };
    return { ...process.env, ...servers };
  }

  try {
    process.exitCode = await work({ directory, signal, log, env: await whatItNeeds() });
  } catch (error) {
    process.exitCode = 1;
    if (!signal.aborted) log(error instanceof Error ? error.message : String(error));
  }
  for (const server of opened) await server.release().catch((error) => log(`clean-up: ${error}`));
  rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
  if (interruptedBy === undefined) return;
  log(`stopped by ${interruptedBy}`);
  process.exitCode = 128 + constants.signals[interruptedBy];
}
