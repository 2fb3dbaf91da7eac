import type { Service, ServiceSchema } from "moleculer";
import DbService from "moleculer-db";
import SequelizeAdapter from "moleculer-db-adapter-sequelize";
import pg from "pg";
import { type Model, type ModelStatic, type Options, Sequelize } from "sequelize";
import { keepTime } from "../lib/clock.ts";
import { observeQuery } from "../lib/observe-sql.ts";
import { openPipeline } from "./pipeline.ts";
import { pipelines, runOn } from "./statements.ts";

/** Milliseconds: a database that does not answer fails the call before the gateway gives up on it. */
const CONNECT_TIMEOUT = 2_000;
const STATEMENT_TIMEOUT = 3_000;
/** Milliseconds that a transaction may do nothing: its process stands still, and others wait for what it has locked. */
const IDLE_TIMEOUT = 2_000;

/**
 * Walking a person's own index is what every request should do. A whole table can seem cheaper to read: with several of the
 * server's processes, which it is for nobody as soon as two do it, or where a page out of order costs four, as on a disk that
 * turns.
 */
const BY_INDEX = "-c max_parallel_workers_per_gather=0 -c random_page_cost=1.1";

/**
 * Sequelize listens for a connection's errors only after it was told that it is connected. A server that stops at that
 * very moment sends its farewell along, and an error event that nobody hears ends the process. Hearing it is enough:
 * the connection's next query fails.
 */
class HeardClient extends pg.Client {
  constructor(config?: string | pg.ClientConfig) {
    super(config);
    this.on("error", () => {});
  }
}

/** The driver of `POSTGRES`. */
export const driver = { ...pg, Client: HeardClient };

/**
 * What every Sequelize of ours is given. The version is an old one that all have: told none, each pool opens a connection
 * of its own to ask, and closes it again, before it does anything.
 */
export const POSTGRES = {
  dialect: "postgres",
  databaseVersion: "14.0.0",
  dialectModule: driver,
  logging: false,
} as const;

/** A pool on one PostgreSQL. Nothing is sent before the first query. */
export const openDatabase = (
  url: string,
  pool: Options["pool"] = { max: 10 },
  { idleInTransaction = IDLE_TIMEOUT } = {},
): Sequelize => {
  const database = new Sequelize(url, {
    ...POSTGRES,
    pool: { acquire: CONNECT_TIMEOUT, ...pool },
    dialectOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      statement_timeout: STATEMENT_TIMEOUT,
      idle_in_transaction_session_timeout: idleInTransaction,
      options: BY_INDEX,
      // A server that stopped answering does not run its own timeout.
      query_timeout: STATEMENT_TIMEOUT + 500,
      keepAlive: true,
    },
  });
  const { query, close } = database;
  const pipeline = openPipeline(database);
  pipelines.set(database, pipeline);
  // Whatever is asked of a database, by models and transactions too, goes through this one function.
  const observed = (...args: unknown[]): Promise<unknown> =>
    observeQuery(args, () => Reflect.apply(query, database, args));
  return Object.assign(database, {
    query: observed,
    async close(): Promise<void> {
      await pipeline.close();
      await Reflect.apply(close, database, []);
    },
  });
};

/** Milliseconds since 1970, by PostgreSQL's clock. */
export async function readTime(database: Sequelize): Promise<number> {
  const [row] = await runOn(database)<{ time: number }>(
    "SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS time",
    [],
  );
  if (!row) throw new Error("PostgreSQL did not tell the time.");
  return row.time;
}

/**
 * moleculer-db and its Sequelize adapter connect at start (and keep trying), own the model and close the pool at
 * stop. The database's clock becomes the process's (lib/clock.ts). None of the actions they would publish exist: they take a client's query as it comes.
 */
export function databaseMixin(database: Sequelize, model: ModelStatic<Model>): Partial<ServiceSchema> {
  class Adapter extends SequelizeAdapter {
    private logger: Service["logger"] | undefined;

    override init(...[broker, service]: Parameters<SequelizeAdapter["init"]>): void {
      super.init(broker, service);
      this.logger = service.logger;
    }

    override async connect(): Promise<void> {
      // Moleculer deep-clones the schema, adapter included: only a closure hands over this very pool.
      Object.assign(this, { opts: [database] });
      try {
        await super.connect();
      } catch (error) {
        // moleculer-db tries again and again, and does not say why it has to.
        this.logger?.warn({ err: error }, "the database can't be used");
        throw error;
      }
    }
  }
  const lifecycle: Partial<ServiceSchema> = { ...DbService, actions: {}, settings: {} };
  const owned: Record<string, unknown> = { adapter: new Adapter({}), model };
  let stopClock = (): void => {};
  return {
    ...owned,
    mixins: [lifecycle],
    async started() {
      const note = (error: unknown) =>
        this.logger.warn({ err: error }, "the database's time could not be read");
      stopClock = await keepTime(() => readTime(database), note);
    },
    async stopped() {
      stopClock();
    },
  };
}
