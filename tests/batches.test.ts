import { connect } from "amqplib";
import type { Context, ServiceSchema } from "moleculer";
import { busMessages } from "../lib/metrics.ts";
import { joinPackets } from "../lib/packet-batch.ts";
import {
  AMQP_URL,
  newNamespace,
  openHandler,
  startProjectNode,
  startRogue,
  type TestNode,
} from "./support/broker.ts";

/** Longer than any test: an answer comes because it was sent, not because a time is over. */
const PATIENT = { requestTimeout: 25_000, heartbeatTimeout: 60 };
const CALLS = 40;

const namespace = newNamespace();
const echoed: unknown[] = [];

/** Answers what it was sent, or fails with it. */
const echo: ServiceSchema = {
  name: "echo",
  actions: {
    say: openHandler((ctx: Context<{ text: string; fail?: boolean }>) => {
      const { text, fail } = ctx.params;
      echoed.push(text);
      if (fail) throw new Error(text);
      return text;
    }),
    page: openHandler((ctx: Context<{ text: string }>) => ({ text: ctx.params.text, nextCursor: null })),
  },
};
const auth: ServiceSchema = {
  name: "auth",
  actions: { jwks: openHandler(() => ({ keys: [] })) },
};
/** The same from a node with Moleculer's own transporter. */
const plainEcho: ServiceSchema = { ...echo, name: "plain" };

let server: TestNode;
let caller: TestNode;
let plain: TestNode;
beforeAll(async () => {
  [server, caller, plain] = await Promise.all([
    startProjectNode([echo, auth], { namespace, ...PATIENT }),
    startProjectNode([{ name: "caller" }], { namespace, ...PATIENT }),
    startRogue({ namespace, env: { AMQP_URL } }, plainEcho),
  ]);
  await caller.broker.waitForServices(["echo", "plain"]);
  await Promise.all([server.broker.waitForServices("caller"), plain.broker.waitForServices("echo")]);
});
afterAll(() => Promise.all([server.stop(), caller.stop(), plain.stop()]));
beforeEach(() => {
  echoed.length = 0;
});

const texts = Array.from({ length: CALLS }, (_, n) => `text ${n}`);
const sayAll = ({ broker }: TestNode, action: string, more = {}) =>
  Promise.all(texts.map((text) => broker.call<string, object>(action, { text, ...more })));

/** Messages of this process, sent while `work` ran; heartbeats and the like among them. */
async function messagesOf(work: () => Promise<unknown>): Promise<number> {
  const sent = async () => {
    const { values } = await busMessages.get();
    return values.find(({ labels }) => labels.direction === "sent")?.value ?? 0;
  };
  const before = await sent();
  await work();
  return (await sent()) - before;
}

/** Puts a message into a node's queue, as one that is up to no good may. */
async function deliver(kind: "REQ" | "RES", { broker }: TestNode, content: Buffer, type?: string) {
  const connection = await connect(AMQP_URL);
  const channel = await connection.createConfirmChannel();
  const queue = `MOL-${namespace}.${kind}.${broker.nodeID}`;
  channel.sendToQueue(queue, content, type === undefined ? {} : { type });
  await channel.waitForConfirms();
  await connection.close();
}

test("calls of one turn of the event loop and their answers are a few messages, each call with its own answer", async () => {
  let answers: string[] = [];
  const messages = await messagesOf(async () => {
    answers = await sayAll(caller, "echo.say");
  });

  expect(answers).toEqual(texts);
  expect(echoed).toEqual(texts);
  // Of 80. What the calls came to is 3, and their answers as many or some more.
  expect(messages).toBeLessThan(CALLS);
});

test("each call fails by itself", async () => {
  const outcomes = await Promise.all(
    texts.map((text, n) =>
      caller.broker.call("echo.say", { text, fail: n % 2 === 1 }).catch(({ code }) => code),
    ),
  );

  expect(outcomes).toEqual(texts.map((text, n) => (n % 2 === 1 ? 500 : text)));
});

test("answers that are too large for one message come all the same", async () => {
  const large = "x".repeat(100 * 1024);
  const answers = await Promise.all(
    texts.map((text) => caller.broker.call<string, object>("echo.say", { text: text + large })),
  );

  expect(answers).toEqual(texts.map((text) => text + large));
});

test("a node with Moleculer's own transporter gets and sends each packet as a message", async () => {
  expect(await sayAll(caller, "plain.say")).toEqual(texts);
  expect(await sayAll(plain, "echo.say")).toEqual(texts);
  expect(plain.received.filter((packet) => /^RE[QS] /.test(packet))).toHaveLength(2 * CALLS);
});

describe("the text of an answer", () => {
  const page = { text: JSON.stringify({ items: ["«Ёж»", "a\nb", "\u001e"] }), nextCursor: null };
  const ask = ({ broker }: TestNode, action: string) =>
    broker.call<object, object>(action, { text: page.text });

  /** The server's packets, as they are sent. */
  const sent: string[] = [];
  beforeAll(() => {
    const transporter = server.broker.transit?.tx;
    if (!transporter) throw new Error("There is no transporter.");
    const serialize = transporter.serialize.bind(transporter);
    jest.spyOn(transporter, "serialize").mockImplementation((packet) => {
      const bytes = serialize(packet);
      if (packet.type === "RES") sent.push(String(bytes));
      return bytes;
    });
  });
  beforeEach(() => {
    sent.length = 0;
  });
  afterAll(() => jest.restoreAllMocks());

  it("goes after the JSON, and arrives as it was", async () => {
    expect(await ask(caller, "echo.page")).toEqual(page);
    expect(sent).toHaveLength(1);
    expect(sent[0]?.startsWith("\u001e{")).toBe(true);
    expect(sent[0]?.endsWith(`}\n${page.text}`)).toBe(true);
  });

  it("is a part of the JSON to and from a node with Moleculer's own transporter", async () => {
    expect(await ask(plain, "echo.page")).toEqual(page);
    expect(sent.map((packet) => JSON.parse(packet).data)).toEqual([page]);
    expect(await ask(caller, "plain.page")).toEqual(page);
  });

  it.each([
    ["ends before it", "\u001e{}"],
    ["has no JSON before it", "\u001e\npage"],
    [
      "belongs to no answer",
      '\u001e{"ver":"5","sender":"hand","id":"none","success":true,"data":null}\npage',
    ],
  ])("does no harm in a packet that %s", async (_, content) => {
    await deliver("RES", caller, Buffer.from(content));

    expect(await ask(caller, "echo.page")).toEqual(page);
  });
});

describe("a batch made by hand", () => {
  const request = (text: string) =>
    Buffer.from(
      JSON.stringify({ ver: "5", sender: "hand", id: text, action: "echo.say", params: { text }, meta: {} }),
    );
  const send = async (content: Buffer) => {
    await deliver("REQ", server, content, "taskmesh.batch");
    // Queues keep their order: whatever came before was taken.
    await caller.broker.call("echo.say", { text: "the last" });
  };

  it("is served but for the packets that are none", async () => {
    const packets = [request("one"), Buffer.from("{"), Buffer.alloc(0), request("two"), Buffer.from("null")];
    await send(joinPackets(packets));

    expect(echoed).toEqual(["one", "two", "the last"]);
  });

  it.each([
    ["ends early", joinPackets([request("one")]).subarray(0, -1)],
    ["has a length that can't be", Buffer.from([255, 255, 255, 255, 1])],
    ["is a packet", request("one")],
    ["has half a length", Buffer.from([0, 0])],
    ["is empty", Buffer.alloc(0)],
  ])("does no harm when it %s", async (_, content) => {
    await send(content);

    expect(echoed).toEqual(["the last"]);
  });
});
