import { accessSync, constants, mkdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as delay } from "node:timers/promises";
import { codeOf, refusal } from "./refusal.ts";

/** Makes the data folder if need be and resolves to its real path. */
export function openDataFolder(dataDir: string): string {
  try {
    mkdirSync(dataDir, { recursive: true });
    accessSync(dataDir, constants.W_OK | constants.X_OK);
    return realpathSync(dataDir);
  } catch (error) {
    throw explainFolder(error, resolve(dataDir));
  }
}

/** Turns what the file system refused into a sentence about the folder; leaves any other error as it is. */
export function explainFolder(error: unknown, folder: string): unknown {
  switch (codeOf(error)) {
    case "EACCES":
    case "EPERM":
    case "EROFS":
      return refusal(
        `Taskmesh cannot write in its data folder ${folder}, which belongs to another user or is read-only. ` +
          "Change its owner, or choose another folder: DATA_DIR=path npm start",
      );
    case "ENOTDIR":
    case "EEXIST":
      return refusal(
        `The data folder ${folder} cannot be made: a file is in the way. Set DATA_DIR to a folder.`,
      );
    case "ENOSPC":
    case "EDQUOT":
      return refusal(
        `The disk that holds ${folder} is full. Make room, or set DATA_DIR to a folder elsewhere.`,
      );
    default:
      return error;
  }
}

export interface FolderLock {
  release(): void;
}

/** Open databases, kept here because a collected one would give its lock up. */
const held = new Set<DatabaseSync>();

const SQLITE_BUSY = 5;

/**
 * Makes this process the only one that uses the folder. The lock is the one that SQLite, which is part of Node,
 * takes on an empty file: the system drops it with the process, however that ends, so a lock is never stale.
 *
 * @throws when another process has it, naming its pid
 */
export async function lockDataFolder(folder: string): Promise<FolderLock> {
  const pidFile = join(folder, "lock.pid");
  const database = openLockFile(folder);
  try {
    database.exec("PRAGMA journal_mode = MEMORY; BEGIN EXCLUSIVE");
  } catch (error) {
    database.close();
    if (!isBusy(error)) throw notWritable(folder);
    const holder = await readHolder(pidFile);
    throw refusal(
      `Another Taskmesh${holder ? ` (pid ${holder})` : ""} is using the data folder ${folder}. Stop it first, or ` +
        "give this one a folder and ports of its own: DATA_DIR=.data-2 PORT=4000 OPS_PORT=4001 npm start",
    );
  }
  held.add(database);
  const release = () => {
    if (held.delete(database)) database.close();
  };
  try {
    writeFileSync(pidFile, `${process.pid}\n`);
  } catch (error) {
    release();
    throw explainFolder(error, folder);
  }
  return { release };
}

function openLockFile(folder: string): DatabaseSync {
  try {
    return new DatabaseSync(join(folder, "lock"));
  } catch {
    throw notWritable(folder);
  }
}

const notWritable = (folder: string) => explainFolder({ code: "EACCES" }, folder);

const isBusy = (error: unknown): boolean =>
  typeof error === "object" && error !== null && "errcode" in error && error.errcode === SQLITE_BUSY;

/** The holder writes its pid a moment after it has the lock: a pid of the dead means that it's not there yet. */
async function readHolder(pidFile: string): Promise<number | undefined> {
  for (let tries = 0; tries < 20; tries += 1) {
    const pid = pidIn(pidFile);
    if (pid !== undefined && isAlive(pid)) return pid;
    await delay(50);
  }
  return undefined;
}

/** The number on a file's first line, if there is one. */
export function pidIn(file: string): number | undefined {
  try {
    return Number.parseInt(readFileSync(file, "utf8"), 10) || undefined;
  } catch {
    return undefined;
  }
}

export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return codeOf(error) === "EPERM"; // alive, and another user's
  }
}
