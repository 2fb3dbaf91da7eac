import type { ServiceSchema } from "moleculer";
import DbService from "moleculer-db";
import SequelizeAdapter from "moleculer-db-adapter-sequelize";
import pg from "pg";
import {
  type Model,
  type ModelStatic,
  type Options,
  QueryTypes,
  Sequelize,
  type Transaction,
} from "sequelize";
import { observeQuery } from "../lib/observe-sql.ts";

/** Milliseconds: a database that does not answer fails the call before the gateway gives up on it. */
const CONNECT_TIMEOUT = 2_000;
const STATEMENT_TIMEOUT = 3_000;

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

/** The driver that every Sequelize of ours uses. */
export const driver = { ...pg, Client: HeardClient };

/** A pool on one PostgreSQL. Nothing is sent before the first query. */
export const openDatabase = (url: string, pool: Options["pool"] = { max: 10 }): Sequelize => {
  const database = new Sequelize(url, {
    dialect: "postgres",
    dialectModule: driver,
    logging: false,
    pool: { acquire: CONNECT_TIMEOUT, ...pool },
    dialectOptions: {
      connectionTimeoutMillis: CONNECT_TIMEOUT,
      statement_timeout: STATEMENT_TIMEOUT,
      // A server that stopped answering does not run its own timeout.
      query_timeout: STATEMENT_TIMEOUT + 500,
      keepAlive: true,
    },
  });
  const { query } = database;
  // Whatever is asked of a database, by models and transactions too, goes through this one function.
  const observed = (...args: unknown[]): Promise<unknown> =>
    observeQuery(args, () => Reflect.apply(query, database, args));
  return Object.assign(database, { query: observed });
};

/** Runs one statement and gives its rows. */
export type Run = <T extends object>(sql: string, bind: unknown[]) => Promise<T[]>;

export const runOn =
  (database: Sequelize, transaction?: Transaction): Run =>
  (sql, bind) =>
    database.query(sql, { bind, type: QueryTypes.SELECT, ...(transaction ? { transaction } : {}) });

/** The columns of a model for a SELECT or RETURNING, named like its attributes. */
export const selectList = (model: ModelStatic<Model>): string =>
  Object.entries(model.getAttributes())
    .map(([attribute, { field }]) => `${field ?? attribute} AS "${attribute}"`)
    .join(", ");

/**
 * moleculer-db and its Sequelize adapter connect at start (and keep trying), own the model and close the pool at
 * stop. None of the actions they would publish exist: they take a client's query as it comes.
 */
export function databaseMixin(database: Sequelize, model: ModelStatic<Model>): Partial<ServiceSchema> {
  class Adapter extends SequelizeAdapter {
    override connect(): Promise<void> {
      // Moleculer deep-clones the schema, adapter included: only a closure hands over this very pool.
      Object.assign(this, { opts: [database] });
      return super.connect();
    }
  }
  const lifecycle: Partial<ServiceSchema> = { ...DbService, actions: {}, settings: {} };
  const owned: Record<string, unknown> = { adapter: new Adapter({}), model };
  return { ...owned, mixins: [lifecycle] };
}
