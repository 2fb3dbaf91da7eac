import { onServers } from "./services/on-servers.ts";
import { spawnOwned } from "./services/owned-process.ts";

/*
 * node scripts/run.cjs scripts/bench.ts bench/NAME.ts [its arguments]
 *
 * Runs a benchmark on a real PostgreSQL and RabbitMQ, found or started as for npm test.
 */

await onServers(
  "bench",
  ({ env }) =>
    spawnOwned([process.execPath, ...process.argv.slice(2)], ["inherit", "inherit", "inherit"], { env })
      .exited,
);
