import { setTimeout as delay } from "node:timers/promises";
import { type Context, Errors, type ServiceSchema } from "moleculer";
import {
  AMQP_URL,
  newNamespace,
  openBus,
  openHandler,
  startProjectNode,
  type TestNode,
} from "./support/broker.ts";
import { type Line, openLine } from "./support/line.ts";

/**
 * Longer than any test: what is tested is what nodes do with packets, not how soon a processor that others use as well
 * lets them.
 */
const PATIENT = { requestTimeout: 25_000, heartbeatTimeout: 60 };

describe("a node of ours", () => {
  const namespace = newNamespace();
  const executions = new Map<string, number>();
  const counted =
    (name: string, handler: (ctx: Context) => unknown = () => true) =>
    (ctx: Context) => {
      executions.set(name, (executions.get(name) ?? 0) + 1);
      return handler(ctx);
    };
  const fail = (data: unknown) => () => {
    throw new Errors.MoleculerClientError("It did not work.", 409, "ODD", { data });
  };
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  /** Anyone may call it; how often it ran is counted. */
  const open = (name: string, handler?: (ctx: Context) => unknown) => openHandler(counted(name, handler));

  const service: ServiceSchema = {
    name: "probe",
    actions: {
      open: open("open"),
      guarded: counted("guarded"),
      private: { visibility: "private", handler: counted("private") },
      protected: { visibility: "protected", handler: counted("protected") },
      bigInt: open("bigInt", fail(1n)),
      cycle: open("cycle", fail(cycle)),
      bigIntAnswer: open("bigIntAnswer", () => 1n),
      hugeAnswer: open("hugeAnswer", () => "x".repeat(17 * 2 ** 20)),
    },
  };
  const auth: ServiceSchema = {
    name: "auth",
    actions: { jwks: open("jwks", () => ({ keys: [] })) },
  };

  let server: TestNode;
  let caller: TestNode;
  let hand: Awaited<ReturnType<typeof openBus>>;
  beforeAll(async () => {
    [server, caller, hand] = await Promise.all([
      startProjectNode([service, auth], { namespace, ...PATIENT }),
      startProjectNode([], { namespace, ...PATIENT }),
      openBus({ namespace }),
    ]);
    await caller.broker.waitForServices("probe");
  });
  afterAll(() => Promise.all([server.stop(), caller.stop(), hand.close()]));
  beforeEach(() => executions.clear());

  /** Queues keep their order: once this is answered, whatever was sent before was taken. */
  const settle = () => hand.request(server.broker.nodeID, { action: "probe.open" });

  it.each(["private", "protected", "guarded"])(
    "line 29: does not run a %s action for a packet made by hand, whoever it says it comes from",
    async (name) => {
      const node = server.broker.nodeID;
      const answer = await hand.request(node, { action: `probe.${name}` });
      for (const sender of [node, caller.broker.nodeID, "", "nobody"]) {
        hand.post(node, { action: `probe.${name}`, sender });
      }
      await settle();

      expect(answer.success).toBe(false);
      expect(Object.fromEntries(executions)).toEqual({ open: 1 });
    },
  );

  it("runs a protected action for a service on the same node", async () => {
    expect(await server.broker.call("probe.protected")).toBe(true);
  });

  it.each([
    ["bigInt", { code: 409, type: "ODD", message: "It did not work." }],
    ["cycle", { code: 409, type: "ODD", message: "It did not work." }],
    ["bigIntAnswer", { code: 500, message: expect.any(String) }],
    ["hugeAnswer", { code: 500, message: expect.any(String) }],
  ])("answers %s, which the bus can't carry, with one clean error and runs it once", async (name, error) => {
    await expect(caller.broker.call(`probe.${name}`)).rejects.toMatchObject(error);
    // A message that was refused would be delivered again at once, before this one.
    await settle();

    expect(executions.get(name)).toBe(1);
  });

  it("does not send a request that RabbitMQ would not carry", async () => {
    const huge = { text: "x".repeat(17 * 2 ** 20) };
    await expect(caller.broker.call("probe.open", huge)).rejects.toMatchObject({ type: "payload_too_large" });
    expect(await settle()).toMatchObject({ success: true });
    expect(executions.get("open")).toBe(1);
  });

  it.each<[string, string]>([
    ["no JSON", "{"],
    ["nothing", ""],
    ["null", "null"],
    ["another version", JSON.stringify({ ver: "4", sender: "x", id: "1", action: "probe.open" })],
    ["no version", JSON.stringify({ sender: "x", id: "1", action: "probe.open" })],
    [
      "an action that is no text",
      JSON.stringify({ ver: "5", sender: "x", id: "1", action: { name: "probe.open" } }),
    ],
    ["no action", JSON.stringify({ ver: "5", sender: "x", id: "1" })],
    [
      "meta that is text",
      JSON.stringify({ ver: "5", sender: "x", id: "1", action: "probe.guarded", meta: "x" }),
    ],
    [
      "meta that is a list",
      JSON.stringify({ ver: "5", sender: "x", id: "1", action: "probe.guarded", meta: [] }),
    ],
    [
      "params that are null",
      JSON.stringify({ ver: "5", sender: "x", id: "1", action: "probe.open", params: null }),
    ],
    [
      "a stream that never was",
      JSON.stringify({ ver: "5", sender: "x", id: "1", action: "probe.open", stream: true, seq: 5 }),
    ],
  ])("goes on serving after a packet with %s", async (_, content) => {
    hand.send(server.broker.nodeID, content);

    expect(await settle()).toMatchObject({ success: true });
    expect(executions.get("open") ?? 0).toBeLessThanOrEqual(2);
    expect(executions.get("guarded")).toBeUndefined();
  });

  it("does not run a request whose sender has a longer name than a queue can have", async () => {
    const own = newNamespace();
    const victim = await startProjectNode([service], { namespace: own, ...PATIENT });
    const other = await openBus({ namespace: own });
    other.post(victim.broker.nodeID, { action: "probe.bigIntAnswer", sender: "x".repeat(300) });
    // Time enough for it to be delivered again many times.
    for (let n = 0; n < 5; n += 1) await other.request(victim.broker.nodeID, { action: "probe.open" });
    await Promise.all([victim.stop(), other.close()]);

    expect(executions.get("bigIntAnswer")).toBeUndefined();
  });
});

describe("a request that nobody waits for any more", () => {
  const orders: string[] = [];
  const shop: ServiceSchema = {
    name: "shop",
    actions: { order: openHandler((ctx: Context<{ what: string }>) => orders.push(ctx.params.what)) },
  };
  let server: TestNode;
  let caller: TestNode;
  let hand: Awaited<ReturnType<typeof openBus>>;
  let line: Line;

  beforeAll(async () => {
    const namespace = newNamespace();
    line = await openLine(AMQP_URL);
    // Neither misses the other for being silent: a queue is what this is about.
    const { heartbeatTimeout } = PATIENT;
    [server, caller, hand] = await Promise.all([
      startProjectNode([shop], { namespace, heartbeatTimeout, url: line.url }),
      startProjectNode([], { namespace, heartbeatTimeout }),
      openBus({ namespace }),
    ]);
    await caller.broker.waitForServices("shop");
  });
  afterAll(async () => {
    await hand.close();
    line.close();
  });

  it("is not run by a service that comes back after its time", async () => {
    const back = new Promise((resolve) => {
      server.broker.localBus.once("$transporter.connected", resolve);
    });
    line.pull();
    const call = caller.broker.call("shop.order", { what: "lost" });
    // RabbitMQ had noticed that the node is gone, or had not.
    await expect(call).rejects.toMatchObject({
      type: expect.stringMatching(/^(REQUEST_TIMEOUT|SERVICE_NOT_AVAILABLE)$/),
    });
    // The queue goes away with the node, and with it whatever was in it.
    while (await hand.hasQueue(server.broker.nodeID)) await delay(20);
    await line.plugIn();
    await back;
    const { nodeID } = server.broker;
    expect(await hand.request(nodeID, { action: "shop.order", params: { what: "in time" } })).toMatchObject({
      success: true,
    });

    expect(orders).toEqual(["in time"]);
  });

  it("is nothing that the node which sent it would finish before it stops", async () => {
    // What Moleculer waits for, for ten seconds at the most.
    await caller.broker.waitForServices("shop");
    expect(Reflect.get(caller.broker, "_trackedContexts")).toEqual([]);
    await Promise.all([server.stop(), caller.stop()]);
  });
});
