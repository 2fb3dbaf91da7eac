import { type MigrationStatus, migrateDown, migrateUp, migrationStatus } from "../mixins/migrations.ts";

const USAGE = `Usage: npm run migrate -- up | down [--all] | status
  up      applies what is pending
  down    reverts the newest migration of each schema; --all reverts all, and with them all data
  status  shows what is applied and what is pending`;

const commands: Record<string, () => Promise<MigrationStatus[]>> = {
  up: migrateUp,
  down: () => migrateDown(process.argv.includes("--all") ? "all" : "newest"),
  status: migrationStatus,
};

const command = commands[process.argv[2] ?? ""];
if (!command) {
  console.error(USAGE);
  process.exit(2);
}
try {
  for (const { schema, applied, pending } of await command()) {
    for (const name of applied) console.log(`${schema}  applied  ${name}`);
    for (const name of pending) console.log(`${schema}  pending  ${name}`);
  }
} catch (error) {
  console.error(`The migration failed. ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
