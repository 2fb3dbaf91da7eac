import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Binaries } from "./binaries.ts";
import { explainFolder, isAlive, pidIn } from "./data-folder.ts";
import { refusal } from "./refusal.ts";
import { makeSecret, readSecret, syncFolder } from "./secrets.ts";
import type { ServerHome } from "./server-user.ts";
import { logTail, startTied } from "./tied-process.ts";

/** Name of the superuser's password file inside the data, so that the two move and vanish together. */
const PASSWORD_FILE = "taskmesh-password";

/** Milliseconds the server of a killed process may take for its shutdown. */
const OLD_SERVER_TIMEOUT = 60_000;

/**
 * Makes a database cluster under another name and renames it when it is whole, so a killed initdb leaves nothing
 * that looks like data. What such an attempt left is removed.
 */
export async function createCluster(
  cluster: string,
  home: ServerHome,
  { initdb }: Binaries,
  { durable, logFile }: { durable: boolean; logFile: string },
): Promise<void> {
  for (const name of readdirSync(home.folder)) {
    if (name.startsWith("postgres.new-")) remove(join(home.folder, name));
  }
  const draft = join(home.folder, `postgres.new-${randomBytes(6).toString("hex")}`);
  const passwordFile = `${draft}.password`;
  makeSecret(passwordFile, home.user);
  mkdirSync(draft, { mode: 0o700 });
  if (home.user) chownSync(draft, home.user.uid, home.user.gid);
  const access = ["-U", "postgres", "-A", "scram-sha-256", `--pwfile=${passwordFile}`];
  const text = ["-E", "UTF8", "--locale=C", "--locale-provider=builtin", "--builtin-locale=C.UTF-8"];
  const sync = durable ? [] : ["--no-sync"];
  const args = ["-D", draft, ...access, ...text, ...sync, "--no-instructions"];
  const code = await startTied(initdb, args, { user: home.user, endBy: "kill", logFile }).ended;
  if (code !== 0) {
    remove(draft);
    remove(passwordFile);
    throw explainInitdb(logFile, home.folder);
  }
  renameSync(passwordFile, join(draft, PASSWORD_FILE));
  syncFolder(draft);
  renameSync(draft, cluster);
  syncFolder(home.folder);
}

const remove = (path: string): void => rmSync(path, { recursive: true, force: true });

function explainInitdb(logFile: string, folder: string): unknown {
  const said = logTail(logFile);
  if (/No space left on device|quota exceeded/i.test(said)) return explainFolder({ code: "ENOSPC" }, folder);
  return refusal(`PostgreSQL could not make its data folder. The last lines of ${logFile}:${said}`);
}

/** @throws when this PostgreSQL cannot open the data */
export function requireUsable(cluster: string, { major }: Binaries): void {
  const made = readVersion(cluster);
  if (made === undefined) {
    throw refusal(`${cluster} is not PostgreSQL data. Move it away, and npm start makes a new one.`);
  }
  if (made === major) return;
  throw refusal(
    `The data in ${cluster} was made by PostgreSQL ${made}, and PostgreSQL ${major} is installed, which cannot open ` +
      "it. Go back to the Taskmesh that made it, or move that folder away to start with no data, or set DATABASE_URL.",
  );
}

function readVersion(cluster: string): string | undefined {
  const file = join(cluster, "PG_VERSION");
  return existsSync(file) ? readFileSync(file, "utf8").trim() : undefined;
}

/** The superuser's password. */
export function clusterPassword(cluster: string): string {
  const password = readSecret(join(cluster, PASSWORD_FILE));
  if (password) return password;
  throw refusal(
    `${cluster} has lost its password file ${PASSWORD_FILE}. Restore it, or move the folder away.`,
  );
}

/**
 * Waits until the server of an earlier process, killed a moment ago, has shut down. The caller holds the lock of
 * the data folder, so nobody else can be using that server.
 */
export async function waitForOldServer(cluster: string): Promise<void> {
  const pidFile = join(cluster, "postmaster.pid");
  const pid = pidIn(pidFile);
  if (pid === undefined || !isAlive(pid)) return; // PostgreSQL judges the file of a dead server itself
  if (!worksIn(pid, cluster)) return rmSync(pidFile); // the pid is another program's now
  process.kill(pid, "SIGINT");
  const deadline = Date.now() + OLD_SERVER_TIMEOUT;
  while (isAlive(pid) && worksIn(pid, cluster)) {
    if (Date.now() > deadline) {
      throw refusal(
        `An earlier PostgreSQL (pid ${pid}) still has ${cluster} open and does not stop. Stop that one.`,
      );
    }
    await delay(50);
  }
}

/** Whether a process is the server of this data; a pid alone may have been given to another program since. */
function worksIn(pid: number, cluster: string): boolean {
  if (process.platform !== "linux") {
    return spawnSync("ps", ["-o", "command=", "-p", String(pid)], { encoding: "utf8" }).stdout.includes(
      cluster,
    );
  }
  try {
    return readlinkSync(`/proc/${pid}/cwd`) === cluster;
  } catch {
    return false;
  }
}
