import { readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Binaries } from "./binaries.ts";
import { freePort } from "./ports.ts";
import { refusal } from "./refusal.ts";
import type { ServerHome } from "./server-user.ts";
import { logTail, startTied, type TiedProcess } from "./tied-process.ts";

/** Milliseconds until a server must be ready; after a crash it first replays its log. */
const READY_TIMEOUT = 60_000;

/** Failures that a second try on another port a moment later cures. */
const PASSING = /Address already in use|pre-existing shared memory block/;
const TRIES = 10;

export interface RunningServer extends TiedProcess {
  port: number;
  pid: number;
}

interface ServerOptions {
  durable: boolean;
  logFile: string;
}

/** Starts postgres on a free loopback port and resolves when it accepts connections. */
export async function startServer(
  cluster: string,
  { user }: ServerHome,
  { postgres }: Binaries,
  options: ServerOptions,
): Promise<RunningServer> {
  for (let tries = 1; ; tries += 1) {
    const port = await freePort();
    const before = statusOf(cluster);
    const server = startTied(postgres, serverArgs(cluster, port, options), {
      user,
      endBy: "interrupt",
      logFile: options.logFile,
    });
    const pid = await whenReady(cluster, before, server);
    if (pid !== undefined) return { ...server, port, pid };
    const said = logTail(options.logFile);
    if (tries === TRIES || !PASSING.test(said)) {
      throw refusal(`PostgreSQL did not start. The last lines of ${options.logFile}:${said}`);
    }
    await delay(300);
  }
}

/** Modest, for a machine that does other things too; durable as PostgreSQL is unless asked otherwise. */
function serverArgs(cluster: string, port: number, { durable }: ServerOptions): string[] {
  const settings = {
    listen_addresses: "127.0.0.1",
    port,
    unix_socket_directories: "",
    timezone: "UTC",
    log_timezone: "UTC",
    log_checkpoints: "off",
    max_connections: 100,
    max_wal_size: "256MB",
    shared_buffers: "64MB",
    ...(durable ? {} : { fsync: "off", full_page_writes: "off", synchronous_commit: "off" }),
  };
  return ["-D", cluster, ...Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`])];
}

/** Resolves to the server's pid, or to undefined when it ended instead of getting ready. */
async function whenReady(cluster: string, before: string, server: TiedProcess): Promise<number | undefined> {
  let ended = false;
  const end = server.ended.finally(() => {
    ended = true;
  });
  const deadline = Date.now() + READY_TIMEOUT;
  while (!ended && Date.now() < deadline) {
    const status = statusOf(cluster);
    const lines = status.split("\n");
    if (status !== before && lines[7]?.trim() === "ready") return Number(lines[0]);
    await Promise.race([end, delay(20)]);
  }
  server.end();
  await end;
  return undefined;
}

/** The pid file: line 1 is the pid, line 3 the start time, line 8 says `ready` once connections are accepted. */
function statusOf(cluster: string): string {
  try {
    return readFileSync(join(cluster, "postmaster.pid"), "utf8");
  } catch {
    return "";
  }
}
