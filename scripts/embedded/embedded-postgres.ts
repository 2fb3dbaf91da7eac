import { existsSync } from "node:fs";
import { join } from "node:path";
import { Client, escapeIdentifier } from "pg";
import { prepareBinaries } from "./binaries.ts";
import { clusterPassword, createCluster, requireUsable, waitForOldServer } from "./cluster.ts";
import { explainFolder, lockDataFolder, openDataFolder } from "./data-folder.ts";
import { type RunningServer, startServer } from "./server.ts";
import { type ServerHome, serverHome } from "./server-user.ts";
import { freshLog, logTail } from "./tied-process.ts";

export interface EmbeddedPostgresOptions {
  /** Folder for the data (`postgres/`), the log and the lock. One process at a time can use it. */
  dataDir: string;
  /** Name of the database to connect to; made when it does not exist. */
  database: string;
  /** `false` trades safety on a crash of the machine for speed, for tests. */
  durable?: boolean;
  log?: (line: string) => void;
}

export interface EmbeddedPostgres {
  url: string;
  port: number;
  /** Process id of the server. */
  pid: number;
  /** Folder that really holds the data: not below `dataDir` when that is closed to all but root. */
  folder: string;
  /** Lets transactions in flight roll back, closes the data properly and gives the folder free. */
  stop(): Promise<void>;
  /** Resolves when the server has ended, by `stop` or on its own. */
  exited: Promise<void>;
  /** The last lines that the server logged. */
  lastWords(): string;
}

/**
 * A real PostgreSQL from npm packages, on a free loopback port, with its data in a folder that it makes on the
 * first start. The server ends with this process, also by kill -9, and loses nothing it acknowledged.
 *
 * @throws an error whose message says what to do, when the folder or the platform does not allow it
 */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const { dataDir, database, durable = true, log = () => {} } = options;
  const dataFolder = openDataFolder(dataDir);
  const lock = await lockDataFolder(dataFolder);
  try {
    const home = serverHome(dataFolder);
    if (home.folder !== dataFolder) {
      log(
        `PostgreSQL does not run as root, and no other user may enter ${dataFolder}: its data is in ${home.folder}`,
      );
    }
    const logFile = join(home.folder, "postgres.log");
    const cluster = join(home.folder, "postgres");
    const server = await openCluster(cluster, home, { durable, logFile, log });
    const exited = server.ended.then(() => lock.release());
    const url = `postgres://postgres:${clusterPassword(cluster)}@127.0.0.1:${server.port}`;
    const stop = () => {
      server.end();
      return exited;
    };
    try {
      await createDatabase(`${url}/postgres`, database);
    } catch (error) {
      await stop();
      throw error;
    }
    return {
      url: `${url}/${database}`,
      port: server.port,
      pid: server.pid,
      folder: home.folder,
      stop,
      exited,
      lastWords: () => logTail(logFile),
    };
  } catch (error) {
    lock.release();
    throw explainFolder(error, dataFolder);
  }
}

async function openCluster(
  cluster: string,
  home: ServerHome,
  { durable, logFile, log }: { durable: boolean; logFile: string; log: (line: string) => void },
): Promise<RunningServer> {
  const binaries = prepareBinaries(home);
  freshLog(logFile);
  if (existsSync(cluster)) {
    requireUsable(cluster, binaries);
    await waitForOldServer(cluster);
  } else {
    log(`making a database in ${cluster}`);
    await createCluster(cluster, home, binaries, { durable, logFile });
  }
  return startServer(cluster, home, binaries, { durable, logFile });
}

async function createDatabase(url: string, database: string): Promise<void> {
  const client = new Client({ connectionString: url, ssl: false });
  await client.connect();
  try {
    const { rowCount } = await client.query("SELECT FROM pg_database WHERE datname = $1", [database]);
    if (!rowCount) await client.query(`CREATE DATABASE ${escapeIdentifier(database)}`);
  } finally {
    await client.end();
  }
}
