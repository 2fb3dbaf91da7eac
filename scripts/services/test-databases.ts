import pg from "pg";
import type { TestServer } from "./source.ts";

/** Before the run's id in the names of its databases and of the connection that says the run is alive. */
const PREFIX = "taskmesh_test_";

/**
 * Uses a server that was running. Keeps one connection open, by which other runs see that this one is alive;
 * removes the databases of runs that were killed before they could, and at the end those of this one.
 *
 * @param urls tried in order, for a user who may create databases
 * @throws what the last of them answered
 */
export async function openTestDatabases(urls: readonly string[], run: string): Promise<TestServer> {
  let refusal: unknown = new Error("no URL to try");
  for (const url of urls) {
    try {
      const client = await connectAsAdmin(url, run);
      await dropDatabasesOfDeadRuns(client).catch(() => {}); // the next run tries again
      return {
        url,
        description: `${await version(client)}, already running`,
        async release() {
          await dropDatabases(client, "starts_with(datname, $1)", `${PREFIX}${run}_`);
          await client.end();
        },
      };
    } catch (error) {
      refusal = error;
    }
  }
  throw refusal;
}

/** The version of the server at `url`; throws when it does not answer. */
export async function askPostgres(url: string): Promise<string> {
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 2_000 });
  client.on("error", () => {});
  await client.connect();
  try {
    return await version(client);
  } finally {
    await client.end();
  }
}

async function version(client: pg.Client): Promise<string> {
  const { rows } = await client.query("SHOW server_version");
  return `PostgreSQL ${rows[0].server_version}`;
}

async function connectAsAdmin(url: string, run: string): Promise<pg.Client> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: 5_000,
    application_name: `${PREFIX}${run}`,
  });
  client.on("error", () => {}); // a lost connection shows in the next query
  await client.connect();
  const { rows } = await client.query(
    "SELECT current_user AS name FROM pg_roles WHERE rolname = current_user AND NOT (rolcreatedb OR rolsuper)",
  );
  if (rows.length === 0) return client;
  await client.end();
  throw new Error(`the user ${rows[0].name} may not create databases: ALTER ROLE "${rows[0].name}" CREATEDB`);
}

/**
 * A dead run has no connection under its name, and nobody uses its databases. Only those that this user may drop:
 * then this user may also see who is connected.
 */
const dropDatabasesOfDeadRuns = (client: pg.Client): Promise<void> =>
  dropDatabases(
    client,
    `datname ~ $1 AND pg_has_role(datdba, 'MEMBER') AND NOT EXISTS (
       SELECT FROM pg_stat_activity AS session
       WHERE application_name = substring(pg_database.datname FROM $1) OR session.datname = pg_database.datname
     )`,
    `^(${PREFIX}[0-9a-f]{8})_`,
  );

async function dropDatabases(client: pg.Client, which: string, value: string): Promise<void> {
  const { rows } = await client.query(`SELECT datname FROM pg_database WHERE ${which}`, [value]);
  for (const { datname } of rows) {
    await client.query(`DROP DATABASE IF EXISTS ${client.escapeIdentifier(datname)} WITH (FORCE)`);
  }
}
