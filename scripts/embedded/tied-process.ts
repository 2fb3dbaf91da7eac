import { type ChildProcess, spawn } from "node:child_process";
import { closeSync, openSync, readFileSync, renameSync } from "node:fs";
import type { User } from "./server-user.ts";

/**
 * The shell starts the command and a reader of our pipe. The pipe closes when we close it or die, by kill -9 as
 * well; the reader then interrupts the command or kills the whole group. The shell ignores signals itself, so it
 * outlives the command that it interrupts and passes its exit code on.
 */
const WATCHER = `
trap "" HUP INT QUIT TERM
how=$1; shift
exec 3<&0
"$@" </dev/null 3<&- & command=$!
( read -r end <&3; if [ $how = kill ]; then kill -KILL 0; else kill -INT $command; fi ) 2>/dev/null & reader=$!
exec 3<&-
wait $command; code=$?
kill -KILL $reader 2>/dev/null
exit $code`;

export interface TiedProcess {
  /** Ends the command in the way it was started with. */
  end(): void;
  /** Resolves to the command's exit code. */
  ended: Promise<number>;
}

interface TiedOptions {
  user?: User | undefined;
  /** `interrupt` is a fast shutdown for postgres; `kill` leaves nothing running, and what was begun half done. */
  endBy: "interrupt" | "kill";
  /** File that gets everything the command prints. */
  logFile: string;
}

/**
 * Starts a command that does not outlive this process and that a Ctrl-C in the terminal does not reach.
 * It gets none of this process's variables: they hold secrets, and PGDATA and its like would change what it does.
 */
export function startTied(
  command: string,
  args: string[],
  { user, endBy, logFile }: TiedOptions,
): TiedProcess {
  const log = openSync(logFile, "a", 0o600);
  const shell: ChildProcess = spawn("/bin/sh", ["-c", WATCHER, "taskmesh-watcher", endBy, command, ...args], {
    ...user,
    cwd: "/",
    detached: true,
    env: { PATH: process.env.PATH, LC_ALL: "C", TZ: "UTC" },
    stdio: ["pipe", log, log],
  });
  closeSync(log);
  const end = () => shell.stdin?.destroy();
  shell.stdin?.on("error", () => {}); // the shell may be gone first
  const ended = new Promise<number>((resolve, reject) => {
    shell.once("error", reject);
    shell.once("exit", (code) => {
      end(); // when the shell itself was killed the command still runs
      resolve(code ?? 1);
    });
  });
  return { end, ended };
}

/** Puts the log of the last run aside, so that a log holds one run and there are never more than two. */
export function freshLog(logFile: string): void {
  try {
    renameSync(logFile, logFile.replace(/\.log$/, ".previous.log"));
  } catch {
    // there was none
  }
}

/** The last lines of a log, indented to be printed under a message. */
export function logTail(logFile: string): string {
  const lines = readFileSync(logFile, "utf8").trimEnd().split("\n");
  return lines
    .slice(-6)
    .map((line) => `\n  ${line}`)
    .join("");
}
