import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { type FSWatcher, readdirSync, watch } from "node:fs";
import { join } from "node:path";
import { loadEnv } from "../config/env.ts";
import { openDataFolder } from "./embedded/data-folder.ts";
import { startEmbeddedPostgres } from "./embedded/embedded-postgres.ts";
import { explain } from "./embedded/refusal.ts";
import { noteRunning } from "./embedded/running.ts";
import { authSecret } from "./embedded/secrets.ts";
import { onParentGone } from "./parent.ts";

/*
 * npm run dev
 *
 * What npm start runs, started again whenever a file of the program changes, beside a PostgreSQL that stays. Not
 * `node --watch`: its processes would go on when this one is killed, and a service that is given by name is not in the
 * graph of imports that it watches until it was loaded once.
 */

const ROOT = join(import.meta.dirname, "..");
/** Whose changes count; of the root, the files only. */
const WATCHED = ["config", "lib", "mixins", "services"];
const IS_PROGRAM = /\.(ts|js|json|html|css|svg)$/;
/** A name without a dot, which files of the program don't have. */
const IS_FOLDER = /^[^.]+$/;
const IS_TEST = /\.test\.ts$/;
/** Milliseconds without a change after which the last one is the last: editors write a file in several steps. */
const SETTLED = 50;

const env = loadEnv();
const running: { stop(): Promise<void> }[] = [];
let services: ChildProcess | undefined;
let watches: FSWatcher[] = [];
let stopping = false;
let changes: NodeJS.Timeout | undefined;
/** One start or stop after the other. */
let turn: Promise<unknown> = Promise.resolve();

for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop(0));
onParentGone(() => stop(0));

try {
  if (env.AUTH_DATABASE_URL === undefined || env.TASKS_DATABASE_URL === undefined) await startDatabase();
  restart();
} catch (error) {
  console.error(explain(error, env.LOG_LEVEL === "debug"));
  stop(1);
}

async function startDatabase(): Promise<void> {
  const folder = openDataFolder(env.DATA_DIR);
  const options = { dataDir: folder, database: "taskmesh", log: console.log };
  const postgres = await startEmbeddedPostgres(options);
  running.push(postgres);
  void postgres.exited.then(() => {
    if (!stopping) console.error(`PostgreSQL ended on its own. Its last words:${postgres.lastWords()}`);
    stop(1);
  });
  const secret = env.AUTH_SECRET ?? authSecret(postgres.folder);
  Object.assign(process.env, { DATABASE_URL: postgres.url, AUTH_SECRET: secret });
  running.push(noteRunning(folder, { databaseUrl: postgres.url, authSecret: secret }));
}

/**
 * Folder by folder, and anew before each start, since there may be new ones. A watch that is recursive keeps to the files
 * that were there first, on Linux, and hears nothing more of one that an editor or git has put another in the place of.
 */
function watchFolders(): void {
  const before = watches;
  const folders = WATCHED.flatMap((folder) => {
    const top = join(ROOT, folder);
    const entries = readdirSync(top, { recursive: true, withFileTypes: true });
    return [
      top,
      ...entries.filter((entry) => entry.isDirectory()).map(({ parentPath, name }) => join(parentPath, name)),
    ];
  });
  const noteIn = (_event: string, file: string | null): void => {
    if (file !== null && (IS_PROGRAM.test(file) || IS_FOLDER.test(file))) noteChange(file);
  };
  watches = [
    watch(ROOT, (_event, file) => {
      if (file !== null && IS_PROGRAM.test(file)) noteChange(file);
    }),
    ...folders.map((folder) => watch(folder, noteIn)),
  ];
  // Of a folder that is gone; the one above it has told of that.
  for (const each of watches) each.on("error", () => each.close());
  for (const each of before) each.close();
}

function noteChange(file: string): void {
  if (IS_TEST.test(file)) return;
  clearTimeout(changes);
  changes = setTimeout(() => {
    console.log(`${file} has changed.`);
    restart();
  }, SETTLED);
}

function restart(): void {
  turn = turn.then(async () => {
    await stopServices();
    if (stopping) return;
    watchFolders();
    startServices();
  });
}

function startServices(): void {
  const child = fork(join(ROOT, "scripts", "start.ts"), {
    cwd: ROOT,
    env: { LOG_FORMAT: "text", ...process.env },
  });
  services = child;
  child.once("exit", (code) => {
    services = undefined;
    if (code && !stopping) console.log("It is started again when a file changes.");
  });
}

async function stopServices(): Promise<void> {
  if (!services) return;
  const ended = once(services, "exit");
  services.kill("SIGTERM");
  await ended;
}

/** Stops everything, once. */
function stop(exitCode: number): void {
  if (stopping) return;
  stopping = true;
  clearTimeout(changes);
  void turn
    .then(stopServices)
    .then(async () => {
      for (const part of running.reverse()) await part.stop();
    })
    .catch((error: unknown) => console.error(explain(error, true)))
    .finally(() => process.exit(exitCode));
}
