import { execFile } from "node:child_process";
import { readdirSync, readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { killOwned } from "../../scripts/services/owned-process.ts";
import { startPostgres } from "../../scripts/services/postgres-server.ts";
import { findProgram } from "../../scripts/services/programs.ts";
import { freePorts, startRabbitMq } from "../../scripts/services/rabbitmq.ts";
import { makeScratchFolder } from "../../scripts/services/scratch-folder.ts";
import type { TestServer } from "../../scripts/services/source.ts";

/** A server of the drill's own: it is there to be broken. */
export interface Breakable {
  url: string;
  /** SIGKILL to the whole of it. */
  kill(): Promise<void>;
  /** Starts it where it was, with the data it had. */
  start(): Promise<void>;
  /** SIGSTOP: it keeps its connections and says nothing. */
  pause(): void;
  resume(): void;
}

export interface BreakableRabbitMq extends Breakable {
  /** rabbitmqctl, and what it printed. */
  control(...args: string[]): Promise<string>;
}

export interface Servers {
  postgres: Breakable;
  rabbitmq: BreakableRabbitMq;
  release(): Promise<void>;
}

const MISSING =
  "The drill breaks servers of its own: it needs PostgreSQL and RabbitMQ installed on this machine.";

/** Neither is the one that runs on this machine already. */
export async function openOwnServers(run: string): Promise<Servers> {
  const directory = makeScratchFolder(run);
  const [initdb, rabbitmqServer] = [findProgram("initdb"), findProgram("rabbitmq-server")];
  if (!initdb || !rabbitmqServer) throw new Error(MISSING);
  const ports = await freePorts();
  const startBroker = () => startRabbitMq({ program: rabbitmqServer, directory, ports });
  const startDatabase = (port?: number) =>
    startPostgres({
      programs: dirname(initdb),
      directory,
      durable: true,
      ...(port === undefined ? {} : { port }),
    });

  const [broker, database] = [await startBroker(), await startDatabase()];
  const home = join(directory, "rabbitmq");
  const env = {
    PATH: process.env.PATH,
    HOME: home,
    LANG: "C.UTF-8",
    ERL_EPMD_PORT: String(ports.nameServer),
  };
  const node = `taskmesh${ports.port}@localhost`;
  return {
    postgres: breakable(database, () => startDatabase(Number(new URL(database.url).port))),
    rabbitmq: {
      ...breakable(broker, startBroker),
      async control(...args) {
        const program = join(dirname(rabbitmqServer), "rabbitmqctl");
        return (await promisify(execFile)(program, ["--silent", "-n", node, ...args], { env })).stdout;
      },
    },
    async release() {
      await killOwned();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}

function breakable(server: TestServer, startAgain: () => Promise<TestServer>): Breakable {
  let { pid = 0 } = server;
  const signal = (name: NodeJS.Signals): void => {
    for (const each of familyOf(pid)) process.kill(each, name);
  };
  return {
    url: server.url,
    async kill() {
      const family = familyOf(pid);
      signal("SIGKILL");
      while (family.some(isAlive)) await new Promise((resolve) => setTimeout(resolve, 20));
    },
    async start() {
      ({ pid = 0 } = await startAgain());
    },
    pause: () => signal("SIGSTOP"),
    resume: () => signal("SIGCONT"),
  };
}

/** State and parent of a process, from Linux's own files. */
function statOf(pid: number): { state: string; parent: number } | undefined {
  try {
    const [state = "", parent] =
      readFileSync(`/proc/${pid}/stat`, "utf8").split(") ").at(-1)?.split(" ") ?? [];
    return { state, parent: Number(parent) };
  } catch {
    return undefined;
  }
}

const isAlive = (pid: number): boolean => !["Z", undefined].includes(statOf(pid)?.state);

/** A process and all that it started, also what has a process group of its own; but not the shell that guards it. */
function familyOf(root: number): number[] {
  const parents = readdirSync("/proc")
    .map(Number)
    .flatMap((pid): [number, number][] => {
      const stat = pid > 0 ? statOf(pid) : undefined;
      return stat ? [[pid, stat.parent]] : [];
    });
  const family = [root];
  for (const member of family) family.push(...parents.filter(([, of]) => of === member).map(([pid]) => pid));
  return family.filter((pid) => !isGuard(pid));
}

/** What ends a server when the drill ends, however that ends: it must not be stopped. */
function isGuard(pid: number): boolean {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0")[0] === "/bin/sh";
  } catch {
    return true;
  }
}
