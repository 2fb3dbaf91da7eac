import { Client } from "pg";
import { query } from "./database.ts";
import type { System } from "./system.ts";

/**
 * Holds the row that every write of a person locks, who has written before.
 *
 * @returns `held` resolves when so many statements wait for it; `release` lets them go on
 */
export async function holdWrites({ databaseUrl }: Pick<System, "databaseUrl">, userId: string) {
  const holder = new Client({ connectionString: databaseUrl });
  await holder.connect();
  await holder.query("BEGIN");
  await holder.query("SELECT FROM tasks.change_heads WHERE user_id = $1 FOR UPDATE", [userId]);
  const waiting = `SELECT FROM pg_stat_activity
                    WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  return {
    async held(count: number): Promise<void> {
      while ((await query(databaseUrl, waiting)).length < count)
        await new Promise((resolve) => setTimeout(resolve, 20));
    },
    async release(): Promise<void> {
      await holder.query("COMMIT");
      await holder.end();
    },
  };
}
