import { randomBytes } from "node:crypto";
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { connect } from "amqplib";
import { unpackPackage } from "../../scripts/services/debian-packages.ts";
import { type OwnedProcess, spawnOwned } from "../../scripts/services/owned-process.ts";
import { findProgram } from "../../scripts/services/programs.ts";
import { askRabbitMq } from "../../scripts/services/rabbitmq.ts";
import { whenAnswering } from "../../scripts/services/source.ts";
import { AMQP_URL } from "./broker.ts";
import { openLine } from "./line.ts";
import { freePort } from "./system.ts";

interface Member {
  url: string;
  /** kill -9, of the broker and all it started. */
  kill(): Promise<void>;
  /** It runs on, and neither answers nor closes a connection: as if its machine were lost. */
  freeze(): void;
  /** Starts it again on its own data; resolves when it serves. */
  start(): Promise<void>;
}

export interface Cluster {
  members: Member[];
  /** All members' addresses, as AMQP_URL takes them. */
  url: string;
  release(): Promise<void>;
}

/**
 * RabbitMQs on 127.0.0.1 that form one cluster by themselves, on free ports, with a cookie and a name server of their
 * own and all files in `directory`. They end with this process, however that ends.
 *
 * @throws an Error with the end of a broker's log
 */
async function startCluster(directory: string, size: number, installed: Installed): Promise<Cluster> {
  const ports = await Promise.all(Array.from({ length: size }, freePort));
  const nameServerPort = String(await freePort());
  const nodeName = (port: number): string => `taskmesh${port}@localhost`;
  writeFileSync(join(directory, ".erlang.cookie"), randomBytes(16).toString("hex"), { mode: 0o400 });
  const shared = {
    LANG: "C.UTF-8",
    HOME: directory,
    ...installed.env,
    PATH: [installed.env.PATH, dirname(installed.program), process.env.PATH].filter(Boolean).join(":"),
    ERL_EPMD_PORT: nameServerPort,
    ERL_EPMD_ADDRESS: "127.0.0.1",
  };
  const nameServer = spawnOwned(["epmd"], ["ignore", "ignore", "ignore"], { cwd: directory, env: shared });

  const memberOf = (port: number): Member => {
    const home = join(directory, String(port));
    const log = join(home, "log");
    mkdirSync(home);
    writeFileSync(join(home, "enabled_plugins"), "[].\n");
    writeFileSync(join(home, "rabbitmq.conf"), config(port, ports.map(nodeName)));
    let running: OwnedProcess | undefined;
    const url = `amqp://guest:guest@127.0.0.1:${port}`;
    return {
      url,
      kill: async () => running?.kill(),
      freeze: () => void (running?.pid && process.kill(-running.pid, "SIGSTOP")),
      async start() {
        const distribution = await freePort();
        const output = openSync(log, "a");
        const broker = spawnOwned(
          ["/bin/sh", "-c", 'ulimit -n 65536 2>/dev/null; exec "$1"', "rabbitmq", installed.program],
          ["ignore", output, output],
          {
            cwd: home,
            env: {
              ...shared,
              RABBITMQ_NODENAME: nodeName(port),
              RABBITMQ_CONFIG_FILE: join(home, "rabbitmq.conf"),
              RABBITMQ_CONF_ENV_FILE: join(home, "no-such-file"),
              RABBITMQ_ENABLED_PLUGINS_FILE: join(home, "enabled_plugins"),
              RABBITMQ_MNESIA_BASE: join(home, "data"),
              RABBITMQ_LOG_BASE: home,
              RABBITMQ_LOGS: "-",
              RABBITMQ_PID_FILE: join(home, "pid"),
              RABBITMQ_DIST_PORT: String(distribution),
              RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: ERLANG,
            },
          },
        );
        closeSync(output);
        running = broker;
        await whenAnswering({
          url,
          where: "",
          ask: askRabbitMq,
          exited: broker.exited,
          log: () => readFileSync(log, "utf8"),
          release: () => broker.kill(),
        });
      },
    };
  };

  const members = ports.map(memberOf);
  const cluster: Cluster = {
    members,
    url: members.map(({ url }) => url).join(";"),
    async release() {
      await Promise.all(members.map(({ kill }) => kill()));
      await nameServer.kill();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
  try {
    await Promise.all(members.map(({ start }) => start()));
    await expectOneCluster(members);
    return cluster;
  } catch (error) {
    await cluster.release();
    throw error;
  }
}

/**
 * Three lines to the RabbitMQ of the tests, where none can be started as a program: to a node that loses one it is as if
 * it had lost that broker. What brokers tell each other is not tried.
 */
async function openLines(size: number): Promise<Cluster> {
  const lines = await Promise.all(Array.from({ length: size }, () => openLine(AMQP_URL)));
  const members = lines.map((line) => ({
    url: line.url,
    kill: async () => line.pull(),
    freeze: () => line.silence(),
    start: () => line.plugIn(),
  }));
  return {
    members,
    url: members.map(({ url }) => url).join(";"),
    async release() {
      for (const line of lines) line.close();
    },
  };
}

/** A cluster of its own, or, on a machine where RabbitMQ is no program but runs in Docker, what comes nearest. */
export async function openCluster(directory: string, size: number): Promise<Cluster> {
  const installed = await findBroker();
  return installed === null ? openLines(size) : startCluster(directory, size, installed);
}

interface Installed {
  program: string;
  env: NodeJS.ProcessEnv;
}

async function findBroker(): Promise<Installed | null> {
  const program = findProgram("rabbitmq-server");
  if (program !== null) return { program, env: {} };
  const unpacked = await unpackPackage("rabbitmq-server", () => {}).catch(() => null);
  return (
    unpacked && { program: join(unpacked.root, "usr/lib/rabbitmq/bin/rabbitmq-server"), env: unpacked.env }
  );
}

/** What one of them is told, all know. */
async function expectOneCluster(members: readonly Member[]): Promise<void> {
  const connections = await Promise.all(members.map(({ url }) => connect(url)));
  const channels = await Promise.all(connections.map((connection) => connection.createChannel()));
  await channels[0]?.assertExchange("cluster", "fanout", { autoDelete: false });
  await Promise.all(channels.map((channel) => channel.checkExchange("cluster")));
  await Promise.all(connections.map((connection) => connection.close()));
}

/** Brokers miss one that says nothing within ten seconds: as deploy/kubernetes/base/rabbitmq.yaml has it. */
const ERLANG = "-kernel inet_dist_use_interface {127,0,0,1} -kernel net_ticktime 10";

/** As deploy/kubernetes/base/rabbitmq.yaml has it, but for ports and names. */
const config = (port: number, nodes: readonly string[]): string => `
listeners.tcp.1 = 127.0.0.1:${port}
cluster_formation.peer_discovery_backend = classic_config
${nodes.map((node, index) => `cluster_formation.classic_config.nodes.${index + 1} = ${node}\n`).join("")}
cluster_partition_handling = autoheal
disk_free_limit.absolute = 1MB
log.console.level = warning
`;
