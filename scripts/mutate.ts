import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { onParentGone } from "./parent.ts";
import { killOwned, spawnOwned } from "./services/owned-process.ts";
import { openPostgres } from "./services/postgres.ts";
import { makeScratchFolder } from "./services/scratch-folder.ts";

/*
 * npm run mutate [-- Stryker's arguments, such as --mutate services/auth/admin.logic.ts]
 *
 * Mutation testing of auth's rules and queries (stryker.config.json), on a real PostgreSQL: the one of DATABASE_URL,
 * the one that runs on this machine, or a throw-away one, as for npm test. Reports lie in reports/mutation.
 */

const run = randomBytes(4).toString("hex");
const directory = makeScratchFolder(run);
const log = (line: string) => console.error(`[mutate] ${line}`);

const interruption = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
onParentGone(interrupt);

const { signal } = interruption;
const postgres = await openPostgres({ url: process.env.DATABASE_URL, run, directory, log, signal });
try {
  signal.throwIfAborted();
  process.exitCode = await spawnOwned(
    [process.execPath, "node_modules/@stryker-mutator/core/bin/stryker.js", "run", ...process.argv.slice(2)],
    ["inherit", "inherit", "inherit"],
    { env: { ...process.env, DATABASE_URL: postgres.url, TASKMESH_TEST_RUN: run } },
  ).exited;
} finally {
  await postgres.release();
  // Stryker removes its copy of the project itself, unless it was stopped.
  for (const made of [directory, ".stryker-tmp"])
    rmSync(made, { recursive: true, force: true, maxRetries: 10 });
}

function interrupt(): void {
  interruption.abort();
  void killOwned(); // what waits for it goes on to its clean-up
}
