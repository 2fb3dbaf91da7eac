import { connect } from "amqplib";
import { type ServiceBroker, Transporters } from "moleculer";
import { AmqpTransporter } from "../lib/amqp-transporter.ts";
import { AMQP_URL, newNamespace, startProjectNode, type TestNode } from "./support/broker.ts";
import { type Line, openLine } from "./support/line.ts";

/** Longer than any test: an answer comes because something was noticed, never because a time is over. */
const PATIENT = { requestTimeout: 60_000, heartbeatTimeout: 120 };

/** A service on a node of its own, behind a line that can be cut, and who calls it. */
const namespace = newNamespace();
let line: Line;
let server: TestNode;
let caller: TestNode;
/** Finishes the calls of `probe.wait` that are running. */
let finish: () => void;
let waiting: Promise<void>;
let runs = 0;

beforeEach(async () => {
  runs = 0;
  waiting = new Promise((resolve) => {
    finish = resolve;
  });
  line = await openLine(AMQP_URL);
  const probe = {
    name: "probe",
    actions: {
      ping: { access: "open", handler: () => "pong" },
      wait: {
        access: "open",
        handler: async () => {
          runs++;
          server.broker.localBus.emit("$test.waiting");
          await waiting;
        },
      },
    },
  };
  const echo = { name: "echo", actions: { say: { access: "open", handler: () => "said" } } };
  const auth = { name: "auth", actions: { jwks: { access: "open", handler: () => ({ keys: [] }) } } };
  [server, caller] = await Promise.all([
    startProjectNode([probe, auth], { namespace, url: line.url, ...PATIENT }),
    startProjectNode([echo], { namespace, ...PATIENT }),
  ]);
  await Promise.all([caller.broker.waitForServices("probe"), server.broker.waitForServices("echo")]);
});
afterEach(async () => {
  finish();
  await line.plugIn();
  await Promise.all([server.stop(), caller.stop()]);
  line.close();
});

const local = (broker: ServiceBroker, event: string): Promise<unknown> =>
  new Promise((resolve) => broker.localBus.once(event, resolve));
const connected = (broker: ServiceBroker) => local(broker, "$transporter.connected");
const transporterOf = ({ broker }: TestNode): AmqpTransporter => {
  const tx = broker.transit?.tx;
  if (!(tx instanceof AmqpTransporter)) throw new Error("no transporter of ours");
  return tx;
};
const queue = () => `MOL-${namespace}.REQ.${server.broker.nodeID}`;

/** Resolves when the node has connected again because it heard no heartbeat, which it now notices in seconds. */
async function noticedSoon(): Promise<void> {
  const { options } = server.broker;
  const { heartbeatTimeout = 0 } = options;
  options.heartbeatTimeout = 3;
  await connected(server.broker);
  options.heartbeatTimeout = heartbeatTimeout;
}

/** Does something to RabbitMQ on a connection of its own. */
async function onChannel<T>(
  work: (channel: Awaited<ReturnType<Awaited<ReturnType<typeof connect>>["createChannel"]>>) => Promise<T>,
): Promise<T> {
  const connection = await connect(AMQP_URL);
  try {
    const channel = await connection.createChannel();
    channel.on("error", () => {});
    return await work(channel);
  } finally {
    await connection.close();
  }
}

/** Resolves when RabbitMQ has removed the node's queue of requests. */
async function queueGone(): Promise<void> {
  while (await onChannel((channel) => channel.checkQueue(queue())).catch(() => null)) {
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe("a node that died", () => {
  it("leaves no queue of requests, and is off everybody's list with the first call that comes back", async () => {
    line.pull();
    await queueGone();
    // They go as one message, and come back as one.
    const calls = Array.from({ length: 5 }, () => caller.broker.call("probe.ping"));
    const outcomes = await Promise.all(calls.map((call) => call.catch(({ type }) => type)));
    expect(outcomes).toEqual(calls.map(() => "SERVICE_NOT_AVAILABLE"));
    expect(caller.broker.registry.getActionEndpoints("probe.ping").hasAvailable()).toBe(false);
  });

  it("also ends the calls that it had taken", async () => {
    const taken = local(server.broker, "$test.waiting");
    const unanswered = caller.broker.call("probe.wait").catch((error: { type: string }) => error.type);
    await taken;
    line.pull();
    await queueGone();
    await caller.broker.call("probe.ping").catch(() => {});
    expect(await unanswered).toBe("REQUEST_REJECTED");
  });

  it("is back as soon as it is connected", async () => {
    line.pull();
    await queueGone();
    await caller.broker.call("probe.ping").catch(() => {});
    const back = connected(server.broker);
    await line.plugIn();
    await back;
    await caller.broker.waitForServices("probe");
    expect(await caller.broker.call("probe.ping")).toBe("pong");
  });

  it("stays back, however long its heartbeats could not come", async () => {
    server.broker.registry.discoverer.disableHeartbeat();
    line.pull();
    await queueGone();
    const { registry } = caller.broker;
    const { nodes, discoverer } = registry;
    const node = nodes.get(server.broker.nodeID);
    if (node) node.lastHeartbeatTime -= 2 * PATIENT.heartbeatTimeout;
    const told = local(caller.broker, "$node.updated");
    await line.plugIn();
    await told;
    // A look before its first new heartbeat.
    discoverer.checkRemoteNodes();
    expect(registry.getActionEndpoints("probe.ping").hasAvailable()).toBe(true);
  });
});

describe("a node whose queues another connection holds", () => {
  it("fails calls as not connected, and works as soon as it gets them", async () => {
    const { broker } = server;
    const errors = new Set<unknown>();
    let refused = 0;
    broker.localBus.on("$transporter.error", ({ module }) => module === "transporter" && refused++);
    line.pull();
    await queueGone();
    await onChannel(async (channel) => {
      await channel.assertQueue(`MOL-${namespace}.EVENT.${broker.nodeID}`, { exclusive: true });
      await line.plugIn();
      while (refused < 3) {
        await broker.call("echo.say").catch((error) => errors.add(error.type));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
    await connected(broker);

    expect([...errors]).toStrictEqual(["BAD_GATEWAY"]);
    await broker.waitForServices("echo");
    expect(await broker.call("echo.say")).toBe("said");
  });
});

test("a node that stops says so: the others need not miss it", async () => {
  const node = await startProjectNode([], { namespace, ...PATIENT });
  const { nodeID } = node.broker;
  const left = new Promise<unknown>((resolve) => {
    caller.broker.localBus.on("$node.disconnected", ({ node: gone, unexpected }) => {
      if (gone.id === nodeID) resolve(unexpected);
    });
  });
  await node.stop();
  expect(await left).toBe(false);
});

describe("a node that looks connected", () => {
  it("sends no requests while RabbitMQ takes none, and is not ready", async () => {
    const transporter = transporterOf(caller);
    const { connection } = transporter;
    const ping = () => caller.broker.call("probe.ping").catch(({ type }) => type);
    // What amqplib says when RabbitMQ does; npm run drill has a RabbitMQ that is out of memory.
    connection?.emit("blocked", "low on memory");
    expect([transporter.isOpen, await ping()]).toEqual([false, "BAD_GATEWAY"]);
    connection?.emit("unblocked");
    expect([transporter.isOpen, await ping()]).toEqual([true, "pong"]);
  });

  it("hears again after an error of its channel, and is not ready before", async () => {
    const transporter = transporterOf(server);
    const again = connected(server.broker);
    const { channel } = transporter;
    const lost = new Promise((resolve) => channel.once("close", resolve));
    transporter.channel.publish("no-such-exchange", "", Buffer.from(""));
    await lost;
    expect(transporter.isOpen).toBe(false);
    await again;
    expect(transporter.isOpen).toBe(true);
    expect(await caller.broker.call("probe.ping")).toBe("pong");
  });

  it("hears again after its queue was deleted", async () => {
    const again = connected(server.broker);
    // It is exclusive to its connection: nobody else may do that.
    const transporter = server.broker.transit?.tx;
    if (transporter instanceof Transporters.AMQP) await transporter.channel?.deleteQueue(queue());
    await again;
    expect(await caller.broker.call("probe.ping")).toBe("pong");
  });

  it("hears again after an exchange was deleted, which tells nobody", async () => {
    const again = noticedSoon();
    await onChannel((channel) => channel.deleteExchange(`MOL-${namespace}.HEARTBEAT`));
    // Whose heartbeat comes first gets an error and makes the exchange anew; the other one gets nothing.
    await again;
    expect(await caller.broker.call("probe.ping")).toBe("pong");
  });

  it("hears again after its connection went silent", async () => {
    const again = noticedSoon();
    line.silence();
    await again;
    await caller.broker.waitForServices("probe");
    expect(await caller.broker.call("probe.ping")).toBe("pong");
  });

  it("gives up a connection on which it is not heard, though it hears others", async () => {
    // RabbitMQ would end it by itself, much later.
    const own = await openLine(AMQP_URL);
    const url = `${own.url}?heartbeat=60`;
    const node = await startProjectNode([], { namespace, url, heartbeatTimeout: 3 });
    try {
      const left = own.left();
      own.silence("sent");
      await left;
      expect(transporterOf(node).isOpen).toBe(false);
    } finally {
      own.close();
      await node.stop();
    }
  });

  it("keeps its new connection when it finishes what the old one brought", async () => {
    const taken = local(server.broker, "$test.waiting");
    caller.broker.call("probe.wait").catch(() => {});
    await taken;
    const again = connected(server.broker);
    line.pull();
    await line.plugIn();
    await again;
    const { channel } = transporterOf(server);
    finish();
    await caller.broker.waitForServices("probe");
    expect(await caller.broker.call("probe.ping")).toBe("pong");
    expect(transporterOf(server).channel).toBe(channel);
    expect(runs).toBe(1);
  });
});
