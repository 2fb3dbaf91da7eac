import { setTimeout as delay } from "node:timers/promises";
import { connect } from "amqplib";
import { Client } from "pg";
import type { Mesh, ServiceName } from "./mesh.ts";

export interface Fault {
  name: string;
  /** Whether failed requests are expected: 503 while something is away that all need. */
  outage: boolean;
  /** Begins and, unless `heal` does, ends it. */
  inject(mesh: Mesh): Promise<void>;
  /** After it, everything is as it was. */
  heal?(mesh: Mesh): Promise<void>;
}

const killed = (service: ServiceName): Fault => ({
  name: `kill -9 of one ${service} of two`,
  outage: false,
  async inject(mesh) {
    await mesh.kill(service);
    await delay(5_000);
  },
  heal: (mesh) => mesh.replace(service),
});

/** Long enough for everybody to leave it, and for what it was asked to be long done by the other. */
const paused = (service: ServiceName, outage: boolean): Fault => ({
  name: `one ${service} of two paused 15 s`,
  outage,
  async inject(mesh) {
    mesh.signal(service, "SIGSTOP");
    await delay(15_000);
    mesh.signal(service, "SIGCONT");
    await delay(3_000);
  },
});

/** Does something on a connection of its own to the very server. */
async function onChannel(
  { rabbitmq }: Mesh,
  work: (
    channel: Awaited<ReturnType<Awaited<ReturnType<typeof connect>>["createChannel"]>>,
  ) => Promise<unknown>,
): Promise<void> {
  const connection = await connect(rabbitmq.url);
  await work(await connection.createChannel());
  await connection.close();
}

const linesOf = (text: string): string[] => text.split("\n").filter((line) => line !== "");

export const faults: Fault[] = [
  { name: "none", outage: false, inject: () => delay(4_000) },
  killed("auth"),
  killed("tasks"),
  killed("api"),
  paused("tasks", false),
  // Sign-ins that it has taken are not made twice.
  paused("auth", true),
  { name: "rolling restart of all", outage: false, inject: (mesh) => mesh.roll() },
  {
    name: "RabbitMQ killed, back after 5 s",
    outage: true,
    async inject({ rabbitmq }) {
      await rabbitmq.kill();
      await delay(5_000);
    },
    heal: ({ rabbitmq }) => rabbitmq.start(),
  },
  {
    name: "RabbitMQ paused 20 s",
    outage: true,
    async inject({ rabbitmq }) {
      rabbitmq.pause();
      await delay(20_000);
    },
    heal: async ({ rabbitmq }) => rabbitmq.resume(),
  },
  {
    name: "RabbitMQ out of memory, 10 s",
    outage: true,
    async inject({ rabbitmq }) {
      await rabbitmq.control("set_vm_memory_high_watermark", "0.00001");
      await delay(10_000);
    },
    heal: async ({ rabbitmq }) => void (await rabbitmq.control("set_vm_memory_high_watermark", "0.4")),
  },
  {
    name: "RabbitMQ's connections closed one by one",
    outage: false,
    async inject({ rabbitmq }) {
      for (const pid of linesOf(await rabbitmq.control("list_connections", "pid"))) {
        await rabbitmq.control("close_connection", pid, "drill");
      }
    },
  },
  {
    name: "a queue of requests deleted",
    outage: false,
    async inject(mesh) {
      const queues = linesOf(await mesh.rabbitmq.control("list_queues", "name"));
      const some = queues.filter((name) => name.startsWith(`MOL-${mesh.namespace}.REQ.`)).slice(0, 2);
      for (const name of some) {
        // Exclusive to its node: nobody else may delete it, but whoever runs the broker.
        const queue = `rabbit_misc:r(<<"/">>, queue, <<"${name}">>)`;
        const found = `{ok, Queue} = rabbit_amqqueue:lookup(${queue})`;
        await mesh.rabbitmq.control(
          "eval",
          `${found}, rabbit_amqqueue:delete(Queue, false, false, <<"drill">>).`,
        );
        await delay(2_000);
      }
    },
  },
  {
    name: "the exchange of heartbeats deleted: channel errors",
    outage: false,
    async inject(mesh) {
      // Who sends the next heartbeat publishes to an exchange that is not there; the others hear none any more.
      await onChannel(mesh, (channel) => channel.deleteExchange(`MOL-${mesh.namespace}.HEARTBEAT`));
      await delay(9_000);
    },
  },
  {
    name: "PostgreSQL killed, back after 3 s",
    outage: true,
    async inject({ postgres }) {
      await postgres.kill();
      await delay(3_000);
    },
    heal: ({ postgres }) => postgres.start(),
  },
  {
    name: "PostgreSQL paused 10 s",
    outage: true,
    async inject({ postgres }) {
      postgres.pause();
      await delay(10_000);
    },
    heal: async ({ postgres }) => postgres.resume(),
  },
  {
    name: "PostgreSQL out of connections, 6 s",
    outage: true,
    async inject({ databaseUrl }) {
      const mine = await takeConnections(databaseUrl);
      const [first] = mine;
      for (let round = 0; round < 12; round++) {
        // Whoever is faster has the places that this makes free.
        await first?.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE pid <> pg_backend_pid() AND backend_type = 'client backend' AND application_name <> 'drill'`,
        );
        mine.push(...(await takeConnections(databaseUrl)));
        await delay(500);
      }
      await Promise.all(mine.map((client) => client.end()));
    },
  },
  {
    name: "PostgreSQL read-only, 8 s",
    outage: true,
    async inject({ databaseUrl }) {
      await alterSystem(databaseUrl, "SET default_transaction_read_only = on");
      await delay(8_000);
    },
    heal: ({ databaseUrl }) => alterSystem(databaseUrl, "RESET default_transaction_read_only"),
  },
  {
    name: "a table locked by somebody else, 5 s",
    outage: true,
    async inject({ databaseUrl }) {
      const somebody = new Client({ connectionString: databaseUrl, application_name: "drill" });
      await somebody.connect();
      await somebody.query("BEGIN; LOCK TABLE tasks.tasks");
      await delay(5_000);
      await somebody.end();
    },
  },
  {
    name: "network slow: 100 ms each way, 8 s",
    outage: false,
    async inject({ lines }) {
      for (const line of Object.values(lines)) line.slow(100);
      await delay(8_000);
      for (const line of Object.values(lines)) line.slow(0);
    },
  },
  {
    name: "all connections to RabbitMQ cut",
    outage: false,
    async inject({ lines }) {
      lines.rabbitmq.cut();
      await delay(1_000);
    },
  },
  {
    name: "all connections to PostgreSQL cut",
    outage: false,
    async inject({ lines }) {
      lines.postgres.cut();
      await delay(1_000);
    },
  },
  ...(["tasks", "api", "auth"] as const).map((service) => ({
    name: `clock of one ${service} of two: +1 h, -1 h, right`,
    outage: false,
    async inject(mesh: Mesh) {
      for (let jump = 0; jump < 3; jump++) {
        mesh.signal(service, "SIGUSR2");
        await delay(2_500);
      }
    },
  })),
];

/** Changes a setting of the whole server, for all connections that there are. */
async function alterSystem(url: string, change: string): Promise<void> {
  const client = new Client({
    connectionString: url,
    application_name: "drill",
    options: "-c default_transaction_read_only=off",
  });
  await client.connect();
  await client.query(`ALTER SYSTEM ${change}`);
  await client.query("SELECT pg_reload_conf()");
  await client.end();
}

/** As many as there are: until the server has refused all of several at once. */
async function takeConnections(url: string): Promise<Client[]> {
  const taken: Client[] = [];
  for (;;) {
    const some = Array.from(
      { length: 20 },
      () => new Client({ connectionString: url, application_name: "drill" }),
    );
    const refused = await Promise.all(
      some.map((client) =>
        client
          .on("error", () => {})
          .connect()
          .then(
            () => false,
            () => true,
          ),
      ),
    );
    const got = some.filter((_, n) => !refused[n]);
    if (got.length === 0) return taken;
    taken.push(...got);
  }
}
