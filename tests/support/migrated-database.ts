import type { Options, Sequelize } from "sequelize";
import { driver, openDatabase } from "../../mixins/database.ts";
import { migrateUp } from "../../mixins/migrations.ts";
import { createDatabase, migratedTemplate, openKeptDatabase } from "./database.ts";

export interface MigratedDatabase {
  url: string;
  database: Sequelize;
  /** A further pool, as another replica has one. */
  connect(pool?: Options["pool"]): Sequelize;
  /** Starts to count the statements of this process; the returned function stops and says how many there were. */
  countStatements(): () => number;
  drop(): Promise<void>;
}

/** A database of its own with everything that a repository finds in production. */
export async function createMigratedDatabase(): Promise<MigratedDatabase> {
  const stryker = process.env.STRYKER_MUTATOR_WORKER;
  const template = migratedTemplate();
  const { url, drop } = await (stryker === undefined ? createDatabase(template) : openKeptDatabase(stryker));
  // This process has no services: nothing else reads these settings.
  Object.assign(process.env, { AUTH_DATABASE_URL: url, TASKS_DATABASE_URL: url });
  if (template === undefined) await migrateUp();
  const pools: Sequelize[] = [];
  const connect: MigratedDatabase["connect"] = (pool) => {
    const opened = openDatabase(url, pool);
    pools.push(opened);
    return opened;
  };
  const database = connect();
  return {
    url,
    database,
    connect,
    countStatements() {
      let count = 0;
      const { query } = driver.Client.prototype;
      const counted = function (this: unknown, ...args: unknown[]): unknown {
        count += 1;
        return Reflect.apply(query, this, args);
      };
      Object.assign(driver.Client.prototype, { query: counted });
      return () => {
        Object.assign(driver.Client.prototype, { query });
        return count;
      };
    },
    async drop() {
      await Promise.all(pools.map((pool) => pool.close()));
      await drop();
    },
  };
}
