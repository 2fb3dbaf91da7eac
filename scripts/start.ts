import { setTimeout as delay } from "node:timers/promises";
import type { ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import { lockDataFolder, openDataFolder } from "./embedded/data-folder.ts";
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import { requireFreePorts } from "./embedded/ports.ts";
import { explain } from "./embedded/refusal.ts";
import { noteRunning } from "./embedded/running.ts";
import { authSecret } from "./embedded/secrets.ts";
import { onParentGone } from "./parent.ts";

/** Milliseconds that a whole stop may take, and within it that a step of the start may take to finish. */
const STOP_TIMEOUT = 15_000;
const START_STEP_TIMEOUT = 3_000;

const env = loadEnv();
/** What runs, in the order it was started; stopped the other way round. */
const running: { stop(): Promise<void> }[] = [];
let stopping = false;

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(0));
onParentGone(() => stop(0));
// A terminal that was closed must not turn the stop into a crash.
for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});

/** Resolves when everything runs; to nothing when the process is about to end instead. */
export const started = start().catch((error: unknown) => {
  if (!stopping) fail(explain(error, env.LOG_LEVEL === "debug"));
  return undefined;
});

async function start(): Promise<ServiceBroker | undefined> {
  const ownDatabase = env.AUTH_DATABASE_URL !== undefined && env.TASKS_DATABASE_URL !== undefined;
  const needsFolder = !ownDatabase || env.AUTH_SECRET === undefined; // a container may have nowhere to write
  const dataFolder = needsFolder ? openDataFolder(env.DATA_DIR) : env.DATA_DIR;
  if (!ownDatabase) {
    // Said before a word about ports: the usual reason for a taken port is a Taskmesh that already runs here.
    (await lockDataFolder(dataFolder)).release();
  }
  await requireFreePorts(env.HOST, { PORT: env.PORT, OPS_PORT: env.OPS_PORT });
  const place = ownDatabase ? dataFolder : await startDatabase(dataFolder);
  if (stopping) return;
  const secret = env.AUTH_SECRET ?? authSecret(place); // beside the data, which it opens
  process.env.AUTH_SECRET = secret;
  const { DATABASE_URL } = process.env;
  if (!ownDatabase && DATABASE_URL) {
    running.push(noteRunning(dataFolder, { databaseUrl: DATABASE_URL, authSecret: secret }));
  }

  // Imported only now: these read the settings that were completed above.
  const { migrateUp } = await import("../mixins/migrations.ts");
  await migrateUp();
  if (stopping) return;
  const { startNode } = await import("../lib/node.ts");
  const node = await startNode(["auth", "tasks", "api"]);
  running.push(node);
  if (stopping) return;

  const url = `http://${publicHost(env.HOST)}:${env.PORT}`;
  console.log(`Taskmesh is ready: ${url}  (docs: ${url}/docs)`);
  console.log(
    `Data is kept in ${ownDatabase ? "the database of DATABASE_URL" : place}. Ctrl-C stops everything.`,
  );
  return node.broker;
}

/** Resolves to the folder that holds the data. */
async function startDatabase(dataFolder: string): Promise<string> {
  const postgres = await startEmbeddedPostgres({
    dataDir: dataFolder,
    database: "taskmesh",
    log: console.log,
  });
  running.push(postgres);
  process.env.DATABASE_URL = postgres.url;
  void postgres.exited.then(() => {
    if (!stopping)
      fail(`PostgreSQL ended on its own, so Taskmesh stops. Its last words:${postgres.lastWords()}`);
  });
  return postgres.folder;
}

function fail(message: string): void {
  console.error(message);
  stop(1);
}

/** Stops everything, once: a Ctrl-C comes twice (from the terminal and from run.cjs), and an impatient one again. */
export function stop(exitCode: number): void {
  if (stopping) return;
  stopping = true;
  setTimeout(() => {
    console.error(`The stop took longer than ${STOP_TIMEOUT / 1000} s and was cut short.`);
    process.exit(1);
  }, STOP_TIMEOUT);
  void stopAll(exitCode);
}

async function stopAll(exitCode: number): Promise<void> {
  await Promise.race([started, delay(START_STEP_TIMEOUT)]);
  for (const part of running.reverse()) {
    await part.stop().catch((error: unknown) => console.error(explain(error, env.LOG_LEVEL === "debug")));
  }
  process.exit(exitCode);
}

/** How a browser on this machine reaches a server that listens on `host`. */
function publicHost(host: string): string {
  if (["0.0.0.0", "::", "::1", "127.0.0.1"].includes(host)) return "localhost";
  return host.includes(":") ? `[${host}]` : host;
}
