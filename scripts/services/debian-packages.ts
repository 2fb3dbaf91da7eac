import {
  accessSync,
  constants,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { runOwned } from "./owned-process.ts";
import { findProgram } from "./programs.ts";

interface UnpackedPackage {
  /** Folder that stands for `/`. */
  root: string;
  /** What its programs need to find each other and their libraries. */
  env: { PATH: string; LD_LIBRARY_PATH: string };
}

/**
 * Fetches a package of this Debian or Ubuntu, with what it depends on and the system lacks, and unpacks it into
 * the user's cache: no root, no change to the system, once per release of the distribution. `null` elsewhere.
 */
export async function unpackPackage(
  name: string,
  log: (line: string) => void,
): Promise<UnpackedPackage | null> {
  if (findProgram("apt-get") === null || findProgram("dpkg") === null) return null;
  const root = join(cacheFolder(), `${name}-${release()}-${process.arch}`);
  if (!existsSync(root)) {
    log(`fetching ${name} of this distribution, once, into ${root}`);
    const work = mkdtempSync(`${root}-`);
    try {
      await fetchInto(work, name);
      await relocateErlang(join(work, "root"), root);
      if (!existsSync(root)) renameSync(join(work, "root"), root); // another run may have been faster
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  return { root, env: environment(root) };
}

/** apt with a state of its own, which starts from what is installed. */
async function fetchInto(work: string, name: string): Promise<void> {
  for (const folder of ["state/lists/partial", "cache/archives/partial", "root"]) {
    mkdirSync(join(work, folder), { recursive: true });
  }
  copyFileSync("/var/lib/dpkg/status", join(work, "status"));
  const settings = {
    "Dir::State": join(work, "state"),
    "Dir::State::status": join(work, "status"),
    "Dir::Cache": join(work, "cache"),
    "Debug::NoLocking": "1",
    "APT::Sandbox::User": "root", // for root, whose files the user _apt may not read
  };
  const options = Object.entries(settings).flatMap(([key, value]) => ["-o", `${key}=${value}`]);
  const apt = ["apt-get", "--quiet=2", ...options] as const;
  await runOrThrow([...apt, "update"]);
  await runOrThrow([...apt, "install", "--yes", "--no-install-recommends", "--download-only", name]);
  await runOrThrow(["/bin/sh", "-ec", 'for deb in cache/archives/*.deb; do dpkg -x "$deb" root; done'], work);
}

/** The one program here with its own path written into it. */
async function relocateErlang(unpacked: string, root: string): Promise<void> {
  const erl = join(unpacked, "usr/lib/erlang/bin/erl");
  if (existsSync(erl)) await runOrThrow(["sed", "-i", `s#/usr/lib/erlang#${root}/usr/lib/erlang#`, erl]);
}

async function runOrThrow(command: [string, ...string[]], cwd?: string): Promise<void> {
  const { code, output } = await runOwned(command, cwd === undefined ? {} : { cwd });
  if (code !== 0) throw new Error(`${command[0]} failed: ${output.trim().slice(-600)}`);
}

function environment(root: string): UnpackedPackage["env"] {
  const programs = ["usr/lib/erlang/bin", "usr/lib/rabbitmq/bin", "usr/bin", "bin"];
  const libraries = ["usr/lib", "lib"].flatMap((folder) =>
    existsSync(join(root, folder))
      ? readdirSync(join(root, folder))
          .filter((name) => name.includes("-linux-"))
          .map((name) => join(folder, name))
      : [],
  );
  const inRoot = (folders: string[]) => folders.map((folder) => join(root, folder)).join(":");
  return { PATH: inRoot(programs), LD_LIBRARY_PATH: inRoot(libraries) };
}

/** Distribution and release, e.g. `debian-12`. */
function release(): string {
  const text = readFileSync("/etc/os-release", "utf8");
  const value = (key: string) => new RegExp(`^${key}="?([\\w.]+)`, "m").exec(text)?.[1] ?? "unknown";
  return `${value("ID")}-${value("VERSION_ID")}`;
}

/** The user's cache; for a user without a home a folder that nobody else can have made. */
function cacheFolder(): string {
  const uid = process.getuid?.();
  const folder = isWritable(homedir())
    ? join(process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache"), "taskmesh")
    : join(tmpdir(), `taskmesh-cache-${uid}`);
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (statSync(folder).uid !== uid) throw new Error(`${folder} belongs to someone else`);
  return folder;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
