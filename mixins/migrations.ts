import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Sequelize } from "sequelize";
import { MigrationError, SequelizeStorage, Umzug } from "umzug";
import { loadEnv } from "../config/env.ts";
import { sqlState } from "../lib/sql-state.ts";
import { POSTGRES } from "./database.ts";

/** What a migration file exports as `up` and `down`. */
export type Migration = (database: Sequelize) => Promise<void>;

const SCHEMAS = ["auth", "tasks"] as const;
type SchemaName = (typeof SCHEMAS)[number];

/**
 * Milliseconds that a migration waits for a table that somebody reads, such as a dump: whoever asks for that table meanwhile
 * waits behind it. Then it lets them go first.
 */
const LOCK_TIMEOUT = 2_000;
const LOCK_PAUSE = 2_000;
const LOCK_TRIES = 15;
/** SQLSTATE */
const LOCK_NOT_AVAILABLE = "55P03";

export interface MigrationStatus {
  schema: string;
  applied: string[];
  pending: string[];
}

/** Applies what is pending, in every schema. Safe when several processes start at once: one does it, the others wait. */
export const migrateUp = (): Promise<MigrationStatus[]> =>
  inEverySchema(async (umzug) => {
    await umzug.up();
  });

/** Reverts the newest migration of every schema, or all of them. */
export const migrateDown = (how: "newest" | "all"): Promise<MigrationStatus[]> =>
  inEverySchema(async (umzug) => {
    await umzug.down(how === "all" ? { to: 0 } : {});
  });

export const migrationStatus = (): Promise<MigrationStatus[]> => inEverySchema(async () => {});

async function inEverySchema(work: (umzug: Umzug<Sequelize>) => Promise<void>): Promise<MigrationStatus[]> {
  const env = loadEnv("AUTH_DATABASE_URL", "TASKS_DATABASE_URL");
  const urls: Record<SchemaName, string> = { auth: env.AUTH_DATABASE_URL, tasks: env.TASKS_DATABASE_URL };
  const statuses: MigrationStatus[] = [];
  for (const schema of SCHEMAS) {
    try {
      statuses.push(await migratePatiently(schema, urls[schema], work));
    } catch (error) {
      const before = statuses.map((status) => `; ${status.schema} is migrated`).join("");
      const reason = error instanceof Error ? error.message : error;
      throw new Error(`Nothing was changed in ${schema}: ${reason}${before}`, { cause: error });
    }
  }
  return statuses;
}

/** Again and again while a table is in use. @throws what PostgreSQL does, at last also that it is */
async function migratePatiently(...migration: Parameters<typeof migrate>): Promise<MigrationStatus> {
  for (let tries = 1; ; tries++) {
    try {
      return await migrate(...migration);
    } catch (error) {
      const cause = error instanceof MigrationError ? error.cause : error;
      if (sqlState(cause) !== LOCK_NOT_AVAILABLE || tries === LOCK_TRIES) throw error;
      await delay(LOCK_PAUSE);
    }
  }
}

/**
 * One connection, one transaction, one lock: migrations and their records are committed together or not at all,
 * and a process that dies releases the lock with its connection.
 */
async function migrate(
  schema: SchemaName,
  url: string,
  work: (umzug: Umzug<Sequelize>) => Promise<void>,
): Promise<MigrationStatus> {
  const database = new Sequelize(url, { ...POSTGRES, pool: { max: 1, idle: 600_000 } });
  try {
    await database.query("BEGIN");
    await database.query("SELECT pg_advisory_xact_lock(hashtext($1))", {
      bind: [`taskmesh ${schema} migrations`],
    });
    await database.query(`SET LOCAL lock_timeout = ${LOCK_TIMEOUT}`);
    // "IF NOT EXISTS" would ask for the right to create schemas even where this one is there.
    const [found] = await database.query("SELECT FROM pg_namespace WHERE nspname = $1", { bind: [schema] });
    if (found.length === 0) await database.query(`CREATE SCHEMA ${schema}`);
    const umzug = umzugFor(schema, database);
    await work(umzug);
    const [applied, pending] = [await umzug.executed(), await umzug.pending()];
    await database.query("COMMIT");
    return { schema, applied: applied.map(({ name }) => name), pending: pending.map(({ name }) => name) };
  } finally {
    await database.close();
  }
}

const umzugFor = (schema: SchemaName, database: Sequelize): Umzug<Sequelize> =>
  new Umzug({
    context: database,
    storage: new SequelizeStorage({ sequelize: database, schema, tableName: "migrations" }),
    logger: undefined,
    migrations: {
      glob: ["*.ts", { cwd: join(import.meta.dirname, "..", "services", schema, "migrations") }],
      resolve: ({ name, path }) => ({
        name: name.replace(/\.ts$/, ""),
        up: async () => (await import(`${path}`)).up(database),
        down: async () => (await import(`${path}`)).down(database),
      }),
    },
  });
