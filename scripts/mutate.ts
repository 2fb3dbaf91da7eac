import { rmSync } from "node:fs";
import { onServers } from "./services/on-servers.ts";
import { spawnOwned } from "./services/owned-process.ts";

/*
 * npm run mutate [-- Stryker's arguments, such as --mutate services/auth/admin.logic.ts]
 *
 * Mutation testing of auth's rules and queries (stryker.config.mjs) on a real PostgreSQL, found or started as for
 * npm test. Reports lie in reports/mutation.
 */

const stryker = ["node_modules/@stryker-mutator/core/bin/stryker.js", "run", ...process.argv.slice(2)];

await onServers(
  "mutate",
  ({ env }) => spawnOwned([process.execPath, ...stryker], ["inherit", "inherit", "inherit"], { env }).exited,
);
// Stryker removes its copy of the project itself, unless it was stopped.
rmSync(".stryker-tmp", { recursive: true, force: true, maxRetries: 10 });
