import { setTimeout as delay } from "node:timers/promises";
import { type Line, openLine } from "../../tests/support/line.ts";
import {
  freePort,
  type RunningSystem,
  ready,
  start,
  startMesh,
  stopProcess,
} from "../../tests/support/system.ts";
import { type BreakableRabbitMq, openOwnServers, type Servers } from "./servers.ts";

const SERVICES = ["auth", "tasks", "api"] as const;
export type ServiceName = (typeof SERVICES)[number];
type Process = Awaited<ReturnType<typeof start>>;

/** Two processes of each service, on servers of their own and lines that can be broken. */
export interface Mesh {
  gateways: [string, string];
  namespace: string;
  databaseUrl: string;
  postgres: Servers["postgres"];
  rabbitmq: BreakableRabbitMq;
  lines: { postgres: Line; rabbitmq: Line };
  /** kill -9 of one of the two. */
  kill(service: ServiceName): Promise<void>;
  /** Starts the one that was killed again, as whatever supervises processes would. */
  replace(service: ServiceName): Promise<void>;
  /** Stops and replaces each process, one after another. */
  roll(): Promise<void>;
  /** To the second process of a service. */
  signal(service: ServiceName, signal: NodeJS.Signals): void;
  /** Ids of processes that ended by themselves. */
  died(): string[];
  stop(): Promise<void>;
}

export async function startDrillMesh(run: string): Promise<Mesh> {
  const servers = await openOwnServers(run);
  const postgres = await openLine(servers.postgres.url);
  const rabbitmq = await openLine(servers.rabbitmq.url);
  Object.assign(process.env, { DATABASE_URL: servers.postgres.url, TASKMESH_TEST_RUN: run });
  const system = await startOnLines({ postgres, rabbitmq });
  const [first, second] = [new URL(system.baseUrl).port, String(await freePort())];
  const portOf = (n: number): string => (n === 1 ? first : second);
  const expected = new Set<Process["child"]>();

  const begin = async (service: ServiceName, n: number): Promise<Process> => {
    const env = { ...system.env, PORT: portOf(n) };
    const begun = await start(service, ["scripts/service.ts", service], env);
    const { child } = begun;
    child.once("exit", (code, signal) => {
      if (!expected.has(child)) deaths.push(`${service} ${n} (${signal ?? code})`);
    });
    await ready(child, `${begun.opsUrl}/health/ready`);
    return begun;
  };
  const deaths: string[] = [];
  const pairs = new Map<ServiceName, [Process, Process]>();
  for (const service of SERVICES) {
    const one = system.processes.find(({ name }) => name === service);
    if (!one) throw new Error(`no ${service}`);
    one.child.once("exit", (code, signal) => {
      if (!expected.has(one.child)) deaths.push(`${service} 1 (${signal ?? code})`);
    });
    pairs.set(service, [one, await begin(service, 2)]);
  }
  const pair = (service: ServiceName): [Process, Process] => {
    const found = pairs.get(service);
    if (!found) throw new Error(`no ${service}`);
    return found;
  };
  const end = async ({ child }: Process, signal: NodeJS.Signals): Promise<void> => {
    expected.add(child);
    await stopProcess(child, signal);
  };

  return {
    gateways: [system.baseUrl, `http://127.0.0.1:${second}`],
    namespace: system.namespace,
    databaseUrl: Object.assign(new URL(servers.postgres.url), {
      pathname: new URL(system.databaseUrl).pathname,
    }).href,
    postgres: servers.postgres,
    rabbitmq: servers.rabbitmq,
    lines: { postgres, rabbitmq },
    kill: (service) => end(pair(service)[1], "SIGKILL"),
    async replace(service) {
      pair(service)[1] = await begin(service, 2);
    },
    async roll() {
      for (const service of SERVICES) {
        for (const n of [1, 2] as const) {
          await end(pair(service)[n - 1] ?? pair(service)[0], "SIGTERM");
          pair(service)[n - 1] = await begin(service, n);
          await delay(500);
        }
      }
    },
    signal: (service, signal) => void pair(service)[1].child.kill(signal),
    died: () => deaths.splice(0),
    async stop() {
      await Promise.all([...pairs.values()].flat().map((each) => end(each, "SIGKILL")));
      postgres.close();
      rabbitmq.close();
      await servers.release();
    },
  };
}

/** Its database is made on the server itself, and reached by the line. */
async function startOnLines(lines: Mesh["lines"]): Promise<RunningSystem> {
  const direct = process.env.DATABASE_URL;
  process.env.DATABASE_URL = lines.postgres.url;
  const system = await startMesh({
    AMQP_URL: lines.rabbitmq.url,
    BCRYPT_COST: "8",
    NODE_OPTIONS: "--import ./tests/support/movable-clock.ts",
    ...(process.env.DRILL_OUTPUT ? { TEST_OUTPUT: process.env.DRILL_OUTPUT, LOG_LEVEL: "info" } : {}),
  });
  process.env.DATABASE_URL = direct;
  return { ...system, env: { ...system.env, DATABASE_URL: system.databaseUrl } };
}
