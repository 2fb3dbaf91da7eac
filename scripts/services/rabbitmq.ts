import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { connect } from "amqplib";
import { freePort } from "../embedded/ports.ts";
import { unpackPackage } from "./debian-packages.ts";
import { startContainer } from "./docker.ts";
import { brewInstall } from "./homebrew.ts";
import { deleteLeftoversOf } from "./mesh-leftovers.ts";
import { isListening } from "./network.ts";
import { spawnOwned } from "./owned-process.ts";
import { findProgram } from "./programs.ts";
import { type OpenOptions, openFirst, type Source, type TestServer, whenAnswering } from "./source.ts";

/** What a RabbitMQ that nobody configured answers to. */
const LOCAL_URL = "amqp://guest:guest@127.0.0.1:5672";

const ADVICE =
  "Start RabbitMQ on 127.0.0.1:5672 (guest/guest), or set AMQP_URL, or install one of: Docker; the package " +
  "rabbitmq-server (Debian, Ubuntu, Fedora, Alpine); rabbitmq (Homebrew).";

/**
 * A RabbitMQ for one test run: the given one, the one on this machine, or one of its own. The tests' namespaces
 * start with `t<run>`.
 */
export async function openRabbitMq(
  options: OpenOptions,
  sources = [runningRabbitMq(options), ...ownRabbitMq(options)],
): Promise<TestServer> {
  const { url, run } = options;
  if (!url) return openFirst("RabbitMQ", sources, ADVICE, options);
  const given = { name: "AMQP_URL", open: () => useRunning(url, run) };
  return openFirst("RabbitMQ", [given], "AMQP_URL is set, so nothing else was tried.", options);
}

const runningRabbitMq = ({ run }: OpenOptions): Source => ({
  name: "127.0.0.1:5672",
  open: async () => ((await isListening(5672)) ? useRunning(LOCAL_URL, run) : null),
});

/** Who may use a RabbitMQ that is started. */
interface Users {
  /** `user:password` of one of them. */
  credentials: string;
  /** RabbitMQ's definitions, loaded at its first start instead of making `guest`. */
  definitions?: string;
}

const GUEST: Users = { credentials: "guest:guest" };

/** The ways to a RabbitMQ that only this run uses. */
export function ownRabbitMq(
  { directory, log }: Pick<OpenOptions, "directory" | "log">,
  users: Users = GUEST,
): Source[] {
  const installed = async (): Promise<TestServer | null> => {
    const program = findProgram("rabbitmq-server");
    return program === null ? null : startRabbitMq({ program, directory, users });
  };
  return [
    { name: "installed rabbitmq-server", open: installed },
    { name: "Docker", open: () => startInDocker(users) },
    { name: "Homebrew", open: async () => ((await brewInstall("rabbitmq")) ? installed() : null) },
    {
      name: "distribution package",
      async open() {
        const unpacked = await unpackPackage("rabbitmq-server", log);
        if (unpacked === null) return null;
        const program = join(unpacked.root, "usr/lib/rabbitmq/bin/rabbitmq-server");
        return startRabbitMq({ program, directory, users, env: unpacked.env });
      },
    },
  ];
}

async function useRunning(url: string, run: string): Promise<TestServer> {
  const version = await askRabbitMq(url);
  return {
    url,
    description: `${version}, already running`,
    release: () => deleteLeftoversOf(url, `t${run}`),
  };
}

/**
 * Starts a RabbitMQ of its own on free ports of 127.0.0.1, with its own cookie, name server and files in
 * `directory`. It ends with this process, however that ends. Where one was started before with the same ports, and
 * killed, its queues are found again.
 *
 * @throws an Error with the end of its log when it does not come up
 */
export async function startRabbitMq(options: {
  program: string;
  directory: string;
  users?: Users;
  env?: NodeJS.ProcessEnv;
  ports?: Ports;
}): Promise<TestServer> {
  const home = join(options.directory, "rabbitmq");
  const { port, distribution, nameServer } = options.ports ?? (await freePorts());
  mkdirSync(home, { recursive: true });
  writeFileSync(join(home, "enabled_plugins"), "[].\n");
  const { credentials, definitions } = options.users ?? GUEST;
  const file = join(home, "definitions.json");
  if (definitions !== undefined) writeFileSync(file, definitions);
  writeFileSync(join(home, "rabbitmq.conf"), config(port, definitions && file));
  const log = openSync(join(home, "log"), "a");
  const server = spawnOwned(["/bin/sh", "-c", LAUNCH, "rabbitmq", options.program], ["ignore", log, log], {
    cwd: home,
    env: {
      LANG: "C.UTF-8",
      HOME: home,
      ...options.env,
      PATH: [options.env?.PATH, dirname(options.program), process.env.PATH].filter(Boolean).join(":"),
      // A host name of its own would have to resolve.
      RABBITMQ_NODENAME: `taskmesh${port}@localhost`,
      RABBITMQ_CONFIG_FILE: join(home, "rabbitmq.conf"),
      RABBITMQ_CONF_ENV_FILE: join(home, "no-such-file"),
      RABBITMQ_ENABLED_PLUGINS_FILE: join(home, "enabled_plugins"),
      RABBITMQ_MNESIA_BASE: join(home, "data"),
      RABBITMQ_LOG_BASE: home,
      RABBITMQ_LOGS: "-",
      RABBITMQ_PID_FILE: join(home, "pid"),
      RABBITMQ_DIST_PORT: String(distribution),
      RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: "-kernel inet_dist_use_interface {127,0,0,1}",
      ERL_EPMD_PORT: String(nameServer),
      ERL_EPMD_ADDRESS: "127.0.0.1",
    },
  });
  closeSync(log);
  return whenAnswering({
    url: `amqp://${credentials}@127.0.0.1:${port}`,
    where: `its own on port ${port}`,
    ask: askRabbitMq,
    pid: server.pid,
    exited: server.exited,
    log: () => readFileSync(join(home, "log"), "utf8"),
    async release() {
      await server.kill();
      rmSync(home, { recursive: true, force: true, maxRetries: 10 });
    },
  });
}

/** What a RabbitMQ listens on: for clients, for its command line, and its name server. */
export interface Ports {
  port: number;
  distribution: number;
  nameServer: number;
}

export const freePorts = async (): Promise<Ports> => ({
  port: await freePort(),
  distribution: await freePort(),
  nameServer: await freePort(),
});

/**
 * A shell of Erlang's name server and the broker, which would otherwise start one that outlives it.
 * Without the limit a machine that allows 10⁹ open files makes Erlang allocate gigabytes.
 */
const LAUNCH = `ulimit -n 65536 2>/dev/null
command -v epmd >/dev/null && epmd &
exec "$1"`;

const config = (port: number, definitions: string | undefined) => `
${definitions === undefined ? "" : `load_definitions = ${definitions}`}
listeners.tcp.1 = 127.0.0.1:${port}
disk_free_limit.absolute = 1MB
log.console.level = warning
`;

async function startInDocker({ credentials, definitions }: Users): Promise<TestServer | null> {
  const load = `echo "$DEFINITIONS" >/tmp/definitions.json
    echo load_definitions=/tmp/definitions.json >/etc/rabbitmq/conf.d/90-definitions.conf`;
  const container = await startContainer({
    image: "rabbitmq:4-alpine",
    command: `{ ${definitions === undefined ? ":" : load}; docker-entrypoint.sh rabbitmq-server; }`,
    env: { DEFINITIONS: definitions ?? "" },
    port: 5672,
  });
  return (
    container &&
    whenAnswering({
      ...container,
      url: `amqp://${credentials}@127.0.0.1:${container.port}`,
      ask: askRabbitMq,
    })
  );
}

/** Product and version; throws when nothing answers, or refuses these credentials. */
export async function askRabbitMq(url: string): Promise<string> {
  const connection = await connect(url, { timeout: 2_000 });
  const { product, version } = connection.connection.serverProperties;
  await connection.close();
  return `${product} ${version}`;
}
