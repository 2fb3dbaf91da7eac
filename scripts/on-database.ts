import type { Sequelize } from "sequelize";
import { sqlState } from "../lib/sql-state.ts";
import { openDatabase } from "../mixins/database.ts";

/** SQLSTATEs of a table and of a column that are not there. */
const NOT_MIGRATED = ["42P01", "42703"];

/** Why something failed, in words; of a database that the migrations have not seen, also what to do. */
export function reasonOf(error: unknown): string {
  const reason = error instanceof Error ? error.message : String(error);
  return NOT_MIGRATED.includes(sqlState(error)) ? `${reason}; run: npm run migrate -- up` : reason;
}

/** Does the work of a command, whose exit code is 1 when the database can't be used, and says why in a line. */
export async function onDatabase(url: string, work: (database: Sequelize) => Promise<void>): Promise<void> {
  const database = openDatabase(url);
  try {
    await work(database);
  } catch (error) {
    console.error(`Nothing changed: ${reasonOf(error)}`);
    process.exitCode = 1;
  } finally {
    await database.close();
  }
}
