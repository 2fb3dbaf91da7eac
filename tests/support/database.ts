import { randomBytes } from "node:crypto";
import { Client } from "pg";

/**
 * A database of its own for one test file or system, on the server that `npm test` found or started.
 * `npm test` drops them all, by the run's name; so does `drop`.
 */
export async function createDatabase(): Promise<{ url: string; drop(): Promise<void> }> {
  const admin = process.env.DATABASE_URL;
  if (!admin) throw new Error("DATABASE_URL is not set: start the tests with npm test.");
  const name = `taskmesh_test_${process.env.TASKMESH_TEST_RUN ?? "manual"}_${randomBytes(4).toString("hex")}`;
  await query(admin, `CREATE DATABASE ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    drop: () => query(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).then(() => {}),
  };
}

/** Runs one statement on a connection of its own. */
export async function query(
  url: string,
  sql: string,
  values: unknown[] = [],
): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query(sql, values)).rows;
  } finally {
    await client.end();
  }
}
