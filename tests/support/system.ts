import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { closeSync, openSync } from "node:fs";
import { rm } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createDatabase, migratedTemplate } from "./database.ts";

const ROOT = join(import.meta.dirname, "..", "..");
const NODE = join(ROOT, "node_modules", ".bin", "node");
const READY_WITHIN = 30_000;

/** The whole of Taskmesh as its own processes, as a user runs it. */
export interface System {
  mode: "one process" | "mesh";
  baseUrl: string;
  databaseUrl: string;
  namespace: string;
  /** Environment its processes run with, for others that join. */
  env: Record<string, string>;
}

export interface RunningSystem extends System {
  /** By service; one entry for all in one process. */
  processes: { name: string; child: ChildProcess; opsUrl: string }[];
  stop(): Promise<void>;
}

/** Settings all tests run with. Hashing at the lowest cost: what bcrypt costs is not what they test. */
const TEST_ENV = {
  BCRYPT_COST: "4",
  RATE_LIMIT: "off",
  LOG_LEVEL: "warn",
  DRAIN_DELAY: "0s",
  CORS_ORIGINS: "https://app.example.com",
};

const { PATH, HOME, NODE_COMPILE_CACHE } = process.env;
/** Where Node keeps what it compiled: without it, a process takes a third more to start. */
const COMPILED = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };

/** All three services in one process, without a broker: what `npm start` runs. */
export const startOneProcess = (overrides: Record<string, string> = {}): Promise<RunningSystem> =>
  startSystem("one process", overrides);

/**
 * Three processes over RabbitMQ.
 *
 * @param own settings of one service's process alone
 */
export const startMesh = (
  overrides: Record<string, string> = {},
  own: Record<string, Record<string, string>> = {},
): Promise<RunningSystem> => startSystem("mesh", overrides, own);

async function startSystem(
  mode: System["mode"],
  overrides: Record<string, string>,
  own: Record<string, Record<string, string>> = {},
): Promise<RunningSystem> {
  const template = migratedTemplate();
  const database = await createDatabase(template);
  const port = overrides.PORT ?? String(await freePort());
  const namespace = `t${process.env.TASKMESH_TEST_RUN ?? "manual"}-${randomBytes(3).toString("hex")}`;
  const env = {
    ...TEST_ENV,
    ...COMPILED,
    DATABASE_URL: database.url,
    AUTH_SECRET: randomBytes(32).toString("base64url"),
    MESH_NAMESPACE: namespace,
    DATA_DIR: join(tmpdir(), namespace),
    HOST: "127.0.0.1",
    PORT: port,
    ...(mode === "mesh" ? { AMQP_URL: process.env.AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672" } : {}),
    ...overrides,
  };
  const processes: RunningSystem["processes"] = [];
  if (mode === "mesh") {
    if (template === undefined) await migrate(env);
    for (const name of ["auth", "tasks", "api"])
      processes.push(await start(name, ["scripts/service.ts", name], { ...env, ...own[name] }));
  } else {
    processes.push(await start("all", ["scripts/start.ts"], env));
  }
  try {
    await Promise.all(processes.map(({ child, opsUrl }) => ready(child, `${opsUrl}/health/ready`)));
  } catch (error) {
    await Promise.all(processes.map(({ child }) => stopProcess(child)));
    throw error;
  }
  return {
    mode,
    baseUrl: `http://127.0.0.1:${port}`,
    databaseUrl: database.url,
    namespace: env.MESH_NAMESPACE,
    env,
    processes,
    async stop() {
      await Promise.all(processes.map(({ child }) => stopProcess(child)));
      await database.drop();
      await rm(env.DATA_DIR, { recursive: true, force: true });
    },
  };
}

/** Starts one more process of a system, such as a second replica. What it prints goes to the file TEST_OUTPUT. */
export async function start(name: string, args: string[], env: Record<string, string>) {
  const opsPort = String(await freePort());
  const output = openSync(env.TEST_OUTPUT ?? "/dev/null", "a");
  const child = spawn(NODE, args, {
    cwd: ROOT,
    env: { PATH, HOME, ...COMPILED, ...env, OPS_PORT: opsPort },
    stdio: ["ignore", output, "inherit"],
  });
  closeSync(output);
  return { name, child, opsUrl: `http://127.0.0.1:${opsPort}` };
}

/** Resolves when the URL answers 200; rejects when the process ends or takes too long. */
export async function ready(child: ChildProcess, url: string): Promise<void> {
  const deadline = Date.now() + READY_WITHIN;
  while (Date.now() < deadline) {
    if (child.exitCode !== null)
      throw new Error(`The process ended with ${child.exitCode} before ${url} was ready.`);
    const answer = await fetch(url).catch(() => null);
    if (answer?.ok) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`${url} was not ready within ${READY_WITHIN} ms.`);
}

export async function stopProcess(child: ChildProcess, signal: NodeJS.Signals = "SIGTERM"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  child.kill(signal);
  await exited;
}

/** Migrates the database of these settings, as `npm run migrate` does. */
export async function migrate(env: Record<string, string>): Promise<void> {
  const { child } = await start("migrate", ["scripts/migrate.ts", "up"], env);
  const [code] = await once(child, "exit");
  if (code !== 0) throw new Error(`The migration ended with ${code}.`);
}

/**
 * Ports of a Jest worker: below those that the system gives to connections, which may take one before it is used, and above
 * the last that fetch refuses, 10080 (https://fetch.spec.whatwg.org/#port-blocking).
 */
const PORTS = 2_000;
const firstPort = 12_000 + (Number(process.env.JEST_WORKER_ID ?? 0) % 10) * PORTS;
let nextPort = Math.floor(Math.random() * PORTS);

/** A port that nobody listens on, and that no other test is given. */
export async function freePort(): Promise<number> {
  for (;;) {
    nextPort = (nextPort + 1) % PORTS;
    const port = firstPort + nextPort;
    if (await isFree(port)) return port;
  }
}

const isFree = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen(port, "127.0.0.1", () => server.close(() => resolve(true)));
  });
