import { loadEnv } from "../config/env.ts";
import { type MigrationStatus, migrateDown, migrateUp, migrationStatus } from "../mixins/migrations.ts";
import { useRunningDatabase } from "./embedded/running.ts";

const USAGE = `Usage: npm run migrate -- up | down [--all] | status
  up      applies what is pending
  down    reverts the newest migration of each schema; --all reverts all, and with them all data
  status  shows what is applied and what is pending`;

/** By all of the arguments: a misspelt --all must not revert the newest, nor a --help anything. */
const commands = new Map<string, () => Promise<MigrationStatus[]>>([
  ["up", migrateUp],
  ["down", () => migrateDown("newest")],
  ["down --all", () => migrateDown("all")],
  ["status", migrationStatus],
]);

const command = commands.get(process.argv.slice(2).join(" "));
if (!command) {
  console.error(USAGE);
  process.exit(2);
}
// A URL that is set for one schema alone is half of somebody's settings: the other must not be taken from elsewhere.
if (loadEnv().TASKS_DATABASE_URL === undefined) useRunningDatabase();
try {
  for (const { schema, applied, pending } of await command()) {
    for (const name of applied) console.log(`${schema}  applied  ${name}`);
    for (const name of pending) console.log(`${schema}  pending  ${name}`);
  }
} catch (error) {
  console.error(`The migration failed. ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
