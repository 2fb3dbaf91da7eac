import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { refusal } from "./refusal.ts";

export interface User {
  uid: number;
  gid: number;
}

/** Where the server's files are and which user it runs as; no user means the one that runs this process. */
export interface ServerHome {
  folder: string;
  user?: User;
}

/**
 * PostgreSQL refuses to run as root. For root it therefore runs as an unprivileged user, and when that user may
 * not enter the data folder (a clone in /root) its files live in a folder of their own under /var/lib/taskmesh.
 * Files that exist stay where they are.
 */
export function serverHome(dataFolder: string): ServerHome {
  if (process.getuid?.() !== 0) return { folder: dataFolder };
  const elsewhere = join(
    "/var/lib/taskmesh",
    createHash("sha256").update(dataFolder).digest("hex").slice(0, 12),
  );
  const existing = [dataFolder, elsewhere].find((folder) => existsSync(join(folder, "postgres")));
  const user = existing ? ownerOf(join(existing, "postgres")) : unprivilegedUser();

  if (mayEnter(existing ?? dataFolder, user)) return { folder: existing ?? dataFolder, user };
  if (existing) {
    throw refusal(
      `PostgreSQL runs as user ${user.uid}, which may no longer enter ${existing}. Give that folder and those ` +
        "above it back the permission to pass through: chmod o+x",
    );
  }
  mkdirSync(elsewhere, { recursive: true, mode: 0o755 });
  return { folder: elsewhere, user };
}

function ownerOf(folder: string): User {
  const { uid, gid } = statSync(folder);
  return uid === 0 ? unprivilegedUser() : { uid, gid };
}

function unprivilegedUser(): User {
  for (const name of ["postgres", "nobody"]) {
    const [uid, gid] = ["-u", "-g"].map((flag) => Number(spawnSync("id", [flag, name]).stdout));
    if (uid && gid) return { uid, gid };
  }
  return { uid: 65_534, gid: 65_534 };
}

/** Tried, not judged from mode bits: there are access lists and folders above this one. */
const mayEnter = (folder: string, user: User): boolean =>
  spawnSync("/bin/sh", ["-c", 'cd "$1"', "sh", folder], { ...user, cwd: "/" }).status === 0;
