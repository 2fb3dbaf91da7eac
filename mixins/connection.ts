import pg from "pg";
import { ConnectionError, type Sequelize } from "sequelize";
import { sqlState } from "../lib/sql-state.ts";

export interface Statement {
  /** Of one that is prepared: the server keeps its plan with the connection. */
  name?: string;
  text: string;
  values: unknown[];
}

/** One of the pool's connections, by the driver's own means. */
export async function takeConnection({ connectionManager }: Sequelize): Promise<pg.Client> {
  const connection: object = await connectionManager.getConnection({ type: "write" });
  if (!(connection instanceof pg.Client)) throw new Error("The pool has no connections of pg.");
  return connection;
}

/**
 * SQLSTATEs of a plan that a connection does not have as its client believes: the table was changed since, or the first
 * statement of that name failed before it was prepared. Nothing was executed.
 */
const STALE_PLAN = ["0A000", "26000"];

const isStalePlan = (error: pg.DatabaseError, { name }: Statement): boolean =>
  name !== undefined && STALE_PLAN.includes(sqlState(error));

/**
 * The statement's rows. A connection that fails is destroyed: whoever used it next would wait for the answer that this one
 * gave up, or fail by its plans.
 *
 * @throws what PostgreSQL does, and Sequelize's ConnectionError
 */
export async function ask<T extends object>(
  { connectionManager }: Sequelize,
  connection: pg.Client,
  statement: Statement,
): Promise<T[]> {
  try {
    return (await connection.query<T>(statement)).rows;
  } catch (error) {
    if (error instanceof pg.DatabaseError && !isStalePlan(error, statement)) throw error;
    // Waits for what else was asked of it, unless it is dead. Its failure is no news.
    connectionManager.destroyConnection(connection).catch(() => {});
    throw new ConnectionError(error instanceof Error ? error : new Error(String(error)));
  }
}
