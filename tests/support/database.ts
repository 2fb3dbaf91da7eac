import { randomBytes } from "node:crypto";
import { Client } from "pg";

/**
 * A database of its own for one test file or system, on the server that `npm test` found or started.
 * `npm test` drops them all, by the run's name; so does `drop`.
 *
 * @param template one that nobody is connected to, of which it is a copy
 */
export async function createDatabase(
  template = "template1",
): Promise<{ url: string; drop(): Promise<void> }> {
  const { admin, name, url } = testDatabase(randomBytes(4).toString("hex"));
  await query(admin, `CREATE DATABASE ${name} TEMPLATE ${template}`);
  return {
    url,
    drop: () => query(admin, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`).then(() => {}),
  };
}

/** The name of the database that `npm test` migrated for others to be copies of: none where there is no such run. */
export const migratedTemplate = (): string | undefined => process.env.TASKMESH_TEST_TEMPLATE;

/**
 * For mutation testing, which runs test files thousands of times, one after the other: each of its workers keeps a
 * database, and every file finds it empty. `npm run mutate` drops them all.
 */
export async function openKeptDatabase(worker: string): Promise<{ url: string; drop(): Promise<void> }> {
  const { admin, name, url } = testDatabase(`worker_${worker}`);
  const kept = await query(admin, "SELECT FROM pg_database WHERE datname = $1", [name]);
  if (kept.length === 0) await query(admin, `CREATE DATABASE ${name}`);
  // A run that timed out was killed in the middle.
  await query(
    admin,
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1 AND pid <> pg_backend_pid()",
    [name],
  );
  await query(
    url,
    `DO $$ DECLARE name text; BEGIN
       FOR name IN SELECT format('%I.%I', schemaname, tablename) FROM pg_tables
                    WHERE schemaname IN ('auth', 'tasks') AND tablename <> 'migrations'
       LOOP EXECUTE 'DELETE FROM ' || name; END LOOP;
     END $$`,
  );
  return { url, drop: async () => {} };
}

function testDatabase(suffix: string) {
  const admin = process.env.DATABASE_URL;
  if (!admin) throw new Error("DATABASE_URL is not set: start the tests with npm test.");
  const name = `taskmesh_test_${process.env.TASKMESH_TEST_RUN ?? "manual"}_${suffix}`;
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return { admin, name, url: url.href };
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
