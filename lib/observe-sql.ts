import { databaseQueries, observePool, type PoolState } from "./metrics.ts";
import { sqlState } from "./sql-state.ts";
import { inSpan } from "./tracing.ts";

const OPERATIONS = [
  "select",
  "insert",
  "update",
  "delete",
  "with",
  "start",
  "begin",
  "commit",
  "rollback",
  "set",
];

/** There is such a row already: an e-mail address that has an account, a request that came before. Nobody's failure. */
const UNIQUE_VIOLATION = "23505";
/** Characters of a statement that a trace holds. */
const MAX_STATEMENT = 2_000;

/**
 * Counts and traces one statement.
 *
 * @param args those of Sequelize's `query`: the statement, and its options
 */
export function observeQuery<T>(args: unknown[], run: () => Promise<T>): Promise<T> {
  const startedAt = performance.now();
  const [sql, options] = args;
  const text = textOf(sql).trimStart();
  const operation = operationOf(text);
  const answer = inSpan(
    {
      kind: "client",
      name: operation.toUpperCase(),
      attributes: {
        "db.system.name": "postgresql",
        "db.operation.name": operation,
        ...statement(text, options),
      },
    },
    run,
  );
  const ended = (outcome: string): void =>
    databaseQueries.observe({ operation, outcome }, (performance.now() - startedAt) / 1000);
  answer.then(
    () => ended("ok"),
    (error: unknown) => ended(sqlState(error) === UNIQUE_VIOLATION ? "conflict" : "failed"),
  );
  return answer;
}

const textOf = (sql: unknown): string => {
  if (typeof sql === "string") return sql;
  return typeof sql === "object" && sql !== null && "query" in sql ? String(sql.query) : "";
};

function operationOf(text: string): string {
  const word = /^[a-z]+/i.exec(text)?.[0].toLowerCase() ?? "";
  return OPERATIONS.includes(word) ? word : "other";
}

/** Only a statement whose values are bound is text without values: Sequelize writes those of models into theirs. */
const statement = (text: string, options: unknown): { "db.query.text"?: string } =>
  typeof options === "object" && options !== null && "bind" in options && options.bind
    ? { "db.query.text": text.slice(0, MAX_STATEMENT) }
    : {};

/**
 * Shows a database's pool among the metrics. Sequelize's typings don't know the pool that it has.
 *
 * @param waitingBehind statements that have a connection of the pool's, and wait there for others
 */
export function observeDatabase(
  name: string,
  database: { connectionManager: object },
  waitingBehind: () => number = () => 0,
): void {
  const { connectionManager } = database;
  observePool(name, () => {
    const pool = "pool" in connectionManager ? connectionManager.pool : undefined;
    const { size, available, waiting } = isPool(pool) ? pool : NO_POOL;
    return { size, available, waiting: waiting + waitingBehind() };
  });
}

const NO_POOL: PoolState = { size: 0, available: 0, waiting: 0 };

const isPool = (value: unknown): value is PoolState =>
  typeof value === "object" &&
  value !== null &&
  "size" in value &&
  "available" in value &&
  "waiting" in value;
