import { randomBytes, randomUUID } from "node:crypto";
import { connect } from "amqplib";
import { type BrokerOptions, type Context, ServiceBroker, type ServiceSchema, Transporters } from "moleculer";
import { AmqpTransporter } from "../../lib/amqp-transporter.ts";
import config from "../../moleculer.config.ts";
import type { System } from "./system.ts";

/** Everything that a transporter receives, from now on. */
function record(transporter: Transporters.AMQP): string[] {
  const received: string[] = [];
  const { receive } = transporter;
  transporter.receive = (cmd, data) => {
    received.push(`${cmd} ${data}`);
    return Reflect.apply(receive, transporter, [cmd, data]);
  };
  return received;
}

export interface TestNode {
  broker: ServiceBroker;
  /** Everything that other nodes sent it, as it came: "INFO {…}". */
  received: string[];
  stop(): Promise<void>;
}

export const AMQP_URL = process.env.AMQP_URL ?? "amqp://guest:guest@127.0.0.1:5672";

/** A name for a mesh of the test's own, which `npm test` clears away by the run's name. */
export const newNamespace = (): string =>
  `t${process.env.TASKMESH_TEST_RUN ?? "manual"}-${randomBytes(3).toString("hex")}`;

/**
 * A node that was let onto a system's mesh without being one of ours: it has the broker's address, plain Moleculer
 * and none of the project's middlewares.
 */
export const startRogue = (
  { namespace, env }: Pick<System, "namespace" | "env">,
  ...services: ServiceSchema[]
): Promise<TestNode> =>
  startNode(
    {
      namespace,
      transporter: new Transporters.AMQP({ url: env.AMQP_URL ?? AMQP_URL }),
      internalServices: false,
    },
    services,
  );

/**
 * A node with the project's own configuration and these services: alone in this process, or with `namespace` on a
 * mesh over RabbitMQ, at `url` where that is another way to it.
 */
export function startProjectNode(
  services: ServiceSchema[],
  { namespace, url = AMQP_URL, ...options }: BrokerOptions & { namespace?: string; url?: string } = {},
): Promise<TestNode> {
  const { transporter: _transporter, nodeID: _nodeID, ...shared } = config;
  const mesh = namespace === undefined ? {} : { namespace, transporter: transporter(url) };
  return startNode({ ...shared, ...options, ...mesh }, services);
}

/** Transporters can't be shared between brokers: another one with the options of the project's. */
function transporter(url: string): AmqpTransporter {
  const opts = config.transporter instanceof Transporters.AMQP ? config.transporter.opts : {};
  return new AmqpTransporter({ ...opts, url });
}

async function startNode(options: BrokerOptions, services: ServiceSchema[]): Promise<TestNode> {
  const { transporter } = options;
  const received = transporter instanceof Transporters.AMQP ? record(transporter) : [];
  const broker = new ServiceBroker({
    skipProcessEventRegistration: true,
    ...options,
    nodeID: options.nodeID ?? `test-${randomBytes(4).toString("hex")}`,
    logger: false,
  });
  for (const service of services) broker.createService(service);
  await broker.start();
  return {
    broker,
    received,
    async stop() {
      // A heartbeat into a channel that is just being closed would be an unhandled rejection: none may start any
      // more, and one that is measuring how busy the processor is has ended when another such measurement has.
      broker.registry.discoverer.stopHeartbeatTimers();
      await broker.getCpuUsage();
      await broker.stop();
    },
  };
}

/** An action that anyone may call, as with `openAction`, but without a contract of ours. */
export const openHandler = <P>(handler: (ctx: Context<P>) => unknown) => ({ access: "open", handler });

/** Ids of the nodes that run a service, as soon as this node knows so many. */
export const nodesOf = (broker: ServiceBroker, service: string, count: number): Promise<string[]> =>
  new Promise((resolve) => {
    const look = (): void => {
      const found = broker.registry.getServiceList({}).filter(({ name }) => name === service);
      if (found.length < count) return;
      broker.localBus.off("$services.changed", look);
      resolve(found.flatMap(({ nodeID }) => nodeID ?? []));
    };
    broker.localBus.on("$services.changed", look);
    look();
  });

/** A request as Moleculer's protocol 5 has it on the wire. */
interface RequestPacket {
  action: string;
  params?: unknown;
  meta?: unknown;
  /** Who it says it comes from, and gets the answer. */
  sender?: string;
}

interface ResponsePacket {
  id: string;
  success: boolean;
  data?: unknown;
  error?: { code: number; type: string; message: string };
}

/** Talks to a mesh with nothing but the broker's address: packets are made by hand and put into nodes' queues. */
export async function openBus({
  namespace,
  url = AMQP_URL,
}: {
  namespace: string;
  url?: string | undefined;
}) {
  const me = `hand-${randomBytes(4).toString("hex")}`;
  const waiting = new Map<string, (response: ResponsePacket) => void>();
  const connection = await connect(url);
  const channel = await connection.createChannel();
  const answers = `MOL-${namespace}.RES.${me}`;
  await channel.assertQueue(answers, { exclusive: true });
  await channel.consume(
    answers,
    (message) => {
      const response: ResponsePacket = JSON.parse(String(message?.content));
      waiting.get(response.id)?.(response);
    },
    { noAck: true },
  );

  const queueOf = (nodeId: string): string => `MOL-${namespace}.REQ.${nodeId}`;
  const send = (nodeId: string, content: string): boolean =>
    channel.sendToQueue(queueOf(nodeId), Buffer.from(content));

  function write(id: string, { action, params = {}, meta = {}, sender = me }: RequestPacket): string {
    const context = { level: 1, tracing: null, parentID: null, requestID: id, caller: null, stream: false };
    return JSON.stringify({ ver: "5", sender, id, action, params, meta, ...context });
  }

  return {
    /** Puts this text into a node's queue as it is. */
    send,
    /** Sends a request and forgets it. */
    post: (nodeId: string, packet: RequestPacket) => send(nodeId, write(randomUUID(), packet)),
    /** Sends a request and waits for what the node answers, at most this many milliseconds. */
    request: (nodeId: string, packet: RequestPacket, within = 20_000): Promise<ResponsePacket> =>
      new Promise((resolve, reject) => {
        const id = randomUUID();
        const late = setTimeout(
          () => reject(new Error(`${packet.action} was not answered in ${within} ms.`)),
          within,
        );
        waiting.set(id, (response) => {
          clearTimeout(late);
          resolve(response);
        });
        send(nodeId, write(id, packet));
      }),
    /** Whether a node has a queue of requests. */
    async hasQueue(nodeId: string): Promise<boolean> {
      const probe = await connection.createChannel();
      probe.on("error", () => {});
      try {
        await probe.checkQueue(queueOf(nodeId));
        await probe.close();
        return true;
      } catch {
        return false;
      }
    },
    close: () => connection.close(),
  };
}
