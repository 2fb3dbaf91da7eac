import { createHash } from "node:crypto";
import { type Model, type ModelStatic, QueryTypes, type Sequelize, type Transaction } from "sequelize";
import { observeQuery } from "../lib/observe-sql.ts";
import { assertAwaited } from "../lib/request-context.ts";
import { ask, type Statement, takeConnection } from "./connection.ts";
import type { Pipeline } from "./pipeline.ts";

/** For statements of Sequelize's own; others say `inTime`. */
export { assertAwaited };

/** Of each database that has one. */
export const pipelines = new WeakMap<Sequelize, Pipeline>();

/** Runs one statement and gives its rows. */
export type Run = <T extends object>(sql: string, bind: unknown[], options?: RunOptions) => Promise<T[]>;

interface RunOptions {
  /**
   * Keeps the statement's plan with the connection. Only for statements of a handful of forms, whose best plan is the same
   * whatever is bound: each form stays in the server's memory.
   *
   * `pipelined`: and sends it at once behind others on a connection that they share (pipeline.ts). Only for reads that are
   * always short and wait for no lock, since those behind it wait too.
   */
  prepared?: boolean | "pipelined";
  /** Not sent when nobody waits for the request any more: what is done late would undo what came since. */
  inTime?: boolean;
}

/**
 * Statements on a connection of Sequelize's pool, without its formatting of queries and results, which costs more than a
 * short query does. In a transaction, Sequelize's own way.
 */
export const runOn =
  (database: Sequelize, transaction?: Transaction): Run =>
  async <T extends object>(
    sql: string,
    bind: unknown[],
    { prepared = false, inTime = false }: RunOptions = {},
  ): Promise<T[]> => {
    if (transaction) {
      if (inTime) assertAwaited();
      return database.query<T>(sql, { bind, type: QueryTypes.SELECT, transaction });
    }
    const statement = { ...(prepared ? { name: nameOf(sql) } : {}), text: sql, values: bind };
    const pipeline = prepared === "pipelined" ? pipelines.get(database) : undefined;
    return observeQuery([sql, { bind }], () =>
      pipeline ? pipeline.query<T>(statement) : runBare<T>(database, statement, inTime),
    );
  };

async function runBare<T extends object>(
  database: Sequelize,
  statement: Statement,
  inTime: boolean,
): Promise<T[]> {
  const connection = await takeConnection(database);
  try {
    if (inTime) assertAwaited();
    return await ask<T>(database, connection, statement);
  } finally {
    // (The pool takes none back that was destroyed.)
    database.connectionManager.releaseConnection(connection);
  }
}

const names = new Map<string, string>();

/** Of a prepared statement: the same for the same text, in every process. */
function nameOf(sql: string): string {
  const known = names.get(sql);
  if (known !== undefined) return known;
  const name = createHash("sha256").update(sql).digest("base64url").slice(0, 24);
  names.set(sql, name);
  return name;
}

interface OldRows {
  table: string;
  /** Columns of the primary key, separated by commas. */
  key: string;
  /** A column with an index. */
  at: string;
}

/**
 * Removes rows of up to that moment, at most so many; those that somebody else holds are left for the next time.
 *
 * @returns how many
 */
export async function removeOld(
  run: Run,
  { table, key, at }: OldRows,
  upTo: Date,
  limit: number,
): Promise<number> {
  const removed = await run(
    `DELETE FROM ${table} WHERE (${key}) IN (
       SELECT ${key} FROM ${table} WHERE ${at} <= $1 ORDER BY ${at} LIMIT $2 FOR UPDATE SKIP LOCKED) RETURNING 1`,
    [upTo, limit],
  );
  return removed.length;
}

/** The columns of a model for a SELECT or RETURNING, named like its attributes. */
export const selectList = (model: ModelStatic<Model>): string =>
  Object.entries(model.getAttributes())
    .map(([attribute, { field }]) => `${field ?? attribute} AS "${attribute}"`)
    .join(", ");
