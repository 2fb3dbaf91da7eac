import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { isAlive, pidIn } from "../../scripts/embedded/data-folder.ts";
import { freePort } from "../../scripts/embedded/ports.ts";

/** One `npm start`, with a folder and ports of its own and none of the settings of the test run. */
export interface Start {
  /** The process that was started: npm, or scripts/run.cjs without npm around it. */
  child: ChildProcess;
  baseUrl: string;
  opsUrl: string;
  /** Everything printed until now. */
  output(): string;
  /** Resolves when it says that it is ready. */
  ready: Promise<void>;
  exitCode: Promise<number | null>;
  /** Pids of the process that runs the services and of its PostgreSQL. */
  pids(): { services: number; postgres: number };
}

interface StartOptions {
  command?: string[];
  env?: Record<string, string>;
  user?: { uid: number; gid: number };
}

const RUN = [process.execPath, "scripts/run.cjs", "scripts/start.ts"];
const running = new Set<Start>();

/** Starts Taskmesh and does not wait; its processes are a group, as in a terminal. */
export async function startTaskmesh(dataDir: string, options: StartOptions = {}): Promise<Start> {
  const { command: [program = "", ...args] = RUN, env, user } = options;
  const [port, opsPort] = [String(await freePort()), String(await freePort())];
  const child = spawn(program, args, {
    ...user,
    detached: true,
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      BCRYPT_COST: "4",
      LOG_LEVEL: "warn",
      RATE_LIMIT: "off",
      DATA_DIR: dataDir,
      PORT: port,
      OPS_PORT: opsPort,
      ...env,
    },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let output = "";
  const ready = Promise.withResolvers<void>();
  const hear = (chunk: Buffer) => {
    output += chunk;
    if (output.includes("Ctrl-C stops everything")) ready.resolve();
  };
  child.stdout.on("data", hear);
  child.stderr.on("data", hear);
  const exitCode = once(child, "close").then(([code]): number | null => code);
  void exitCode.then((code) =>
    ready.reject(new Error(`exited with ${code} before it was ready:\n${output}`)),
  );
  ready.promise.catch(() => {}); // a test of a failing start never looks at it
  const start: Start = {
    child,
    baseUrl: `http://127.0.0.1:${env?.PORT ?? port}`,
    opsUrl: `http://127.0.0.1:${env?.OPS_PORT ?? opsPort}`,
    output: () => output,
    ready: ready.promise,
    exitCode,
    pids: () => ({
      services: requirePid(join(dataDir, "lock.pid")),
      postgres: requirePid(join(dataPlace(output), "postgres", "postmaster.pid")),
    }),
  };
  running.add(start);
  void exitCode.then(() => running.delete(start));
  return start;
}

/** The folder that a start says its data is in. */
export function dataPlace(output: string): string {
  return /Data is kept in (\S+)\./.exec(output)?.[1] ?? "";
}

/** Ends what a failed test left running, the hard way, and removes the folders of the tests. */
export async function cleanUpStarts(): Promise<void> {
  for (const { child, exitCode } of running) {
    if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
    await exitCode;
  }
  for (const folder of folders) rmSync(folder, { recursive: true, force: true, maxRetries: 10 });
}

const folders: string[] = [];

/** A folder for one start, which other users may pass through unless it is made private. */
export function makeDataFolder(mode = 0o755): string {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "taskmesh-start-")));
  chmodSync(folder, mode);
  folders.push(folder);
  return folder;
}

/** Registers what a start made outside its data folder, to be removed with it. */
export function removeLater(folder: string): void {
  folders.push(folder);
}

/** Resolves when none of the processes exists any more. */
export async function gone(pids: number[]): Promise<void> {
  const deadline = Date.now() + 10_000;
  while (pids.some(runs)) {
    if (Date.now() > deadline) throw new Error(`still running: ${pids.filter(runs).join(", ")}`);
    await delay(20);
  }
}

/** A process that has ended and waits for init to notice counts as gone. */
function runs(pid: number): boolean {
  const stat = `/proc/${pid}/stat`;
  return isAlive(pid) && !(existsSync(stat) && readFileSync(stat, "utf8").includes(") Z "));
}

function requirePid(file: string): number {
  const pid = pidIn(file);
  if (pid === undefined) throw new Error(`no pid in ${file}`);
  return pid;
}
