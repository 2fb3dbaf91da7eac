import { type ChildProcess, spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";

/** A program that cannot outlive this process. */
export interface OwnedProcess {
  /** Also the id of its process group. */
  pid: number | undefined;
  /** Exit code; 128 + signal number when a signal ended it, 127 when it could not be run. */
  exited: Promise<number>;
  /** Ends the program and everything it started, at once. */
  kill(): Promise<void>;
  /** Sends them SIGINT first, and gives them ten seconds. */
  interrupt(): Promise<void>;
}

type Stream = "ignore" | "inherit" | "pipe" | number;

interface OwnedOptions {
  cwd?: string;
  env?: NodeJS.ProcessEnv;
  uid?: number;
  gid?: number;
}

/**
 * The shell reads from a pipe whose other end only this process holds. However this process ends, kill -9
 * included, that read ends too, and the shell kills its whole group: the program, its children and itself.
 * A SIGINT to the group it outlives, to pass the exit code on.
 */
const GUARD = 'trap : INT; { read _ <&3; kill -9 0; } & "$@" 3<&-; code=$?; kill -9 $!; exit $code';

/** As a shell says it. */
const KILLED = 128 + 9;

const running = new Set<OwnedProcess>();

/** Runs a program in a process group of its own. `stdio` is its stdin, stdout and stderr. */
export function spawnOwned(
  [command, ...args]: readonly [string, ...string[]],
  stdio: [Stream, Stream, Stream],
  options: OwnedOptions = {},
): OwnedProcess {
  const guarded = ["-c", GUARD, "owned", command, ...args];
  return own(spawn("/bin/sh", guarded, { ...options, stdio: [...stdio, "pipe"], detached: true }));
}

/** Runs a program to its end and gives what it printed. */
export async function runOwned(
  [command, ...args]: readonly [string, ...string[]],
  options: OwnedOptions = {},
): Promise<{ code: number; output: string }> {
  const guarded = ["-c", `exec 2>&1; ${GUARD}`, "owned", command, ...args];
  const shell = spawn("/bin/sh", guarded, {
    ...options,
    stdio: ["ignore", "pipe", "ignore", "pipe"],
    detached: true,
  });
  const { exited } = own(shell);
  const output = shell.stdout ? text(shell.stdout) : "";
  return { code: await exited, output: await output };
}

/** Ends every owned program that still runs. */
export async function killOwned(): Promise<void> {
  await Promise.all([...running].map((owned) => owned.kill()));
}

function own(shell: ChildProcess): OwnedProcess {
  const exited = new Promise<number>((resolve) => {
    shell.once("error", () => resolve(127));
    shell.once("exit", (code) => resolve(code ?? KILLED));
  });
  const owned: OwnedProcess = {
    pid: shell.pid,
    exited,
    async kill() {
      signalGroup(shell.pid, "SIGKILL");
      await exited;
      // The shell was but the first. No longer than 2 s: a system without init never buries its dead.
      for (let tries = 0; tries < 200 && signalGroup(shell.pid, 0); tries += 1) await delay(10);
    },
    async interrupt() {
      signalGroup(shell.pid, "SIGINT");
      await Promise.race([exited, delay(10_000, undefined, { ref: false })]);
      await owned.kill();
    },
  };
  running.add(owned);
  void exited.then(() => {
    running.delete(owned);
    signalGroup(shell.pid, "SIGKILL"); // what a program that ended by itself left running
  });
  return owned;
}

/** Whether the group still has a member. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals | 0): boolean {
  try {
    return pid !== undefined && process.kill(-pid, signal);
  } catch {
    return false;
  }
}
