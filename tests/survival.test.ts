import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { AMQP_URL, newNamespace, openHandler, startProjectNode, type TestNode } from "./support/broker.ts";
import { type Line, openLine } from "./support/line.ts";
import { ready, start, stopProcess } from "./support/system.ts";

/** A service in a process of its own that reaches RabbitMQ by a line, and who calls it. */
const namespace = newNamespace();
let line: Line;
let service: Awaited<ReturnType<typeof start>>;
let caller: TestNode;
const isReady = (): Promise<void> => ready(service.child, `${service.opsUrl}/health/ready`);
const ask = (action: string, timeout = 4_000): Promise<unknown> =>
  caller.broker.call(`counter.${action}`, {}, { timeout });

beforeAll(async () => {
  const auth = { name: "auth", actions: { jwks: openHandler(() => ({ keys: [] })) } };
  caller = await startProjectNode([auth], { namespace });
});
afterAll(() => caller.stop());

beforeEach(async () => {
  line = await openLine(AMQP_URL);
  const settings = { MESH_NAMESPACE: namespace, AMQP_URL: line.url, HOST: "127.0.0.1", DRAIN_DELAY: "0s" };
  service = await start("counter", ["scripts/service.ts", "tests/support/counter.service.ts"], {
    ...settings,
    LOG_LEVEL: "fatal",
  });
  await isReady();
  await caller.broker.waitForServices("counter");
});
afterEach(async () => {
  await stopProcess(service.child);
  line.close();
});

describe("a process", () => {
  it("lives on when its connection to RabbitMQ ends, at whatever step of its making", async () => {
    for (let pieces = 1; pieces <= 16; pieces++) {
      line.cutAfter(pieces);
      const left = line.left();
      line.cut();
      await left;
      await line.left();
      await isReady();
    }
    // Whether it was gone just now is known when it is asked.
    await ask("count").catch(() => {});
    await caller.broker.waitForServices("counter");
    expect(await ask("count")).toBe(0);
  }, 60_000);

  it("that stood still does nothing of what it was asked meanwhile: others were asked instead", async () => {
    const { child } = service;
    child.kill("SIGSTOP");
    await expect(ask("add", 500)).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
    // Longer than anybody waits for an answer.
    await delay(4_500);
    const left = line.left();
    child.kill("SIGCONT");
    await left;
    await isReady();
    await caller.broker.waitForServices("counter");
    expect(await ask("count")).toBe(0);
    expect(await ask("add")).toBe(1);
  }, 30_000);

  it("ends in order though RabbitMQ says nothing any more", async () => {
    line.silence();
    const exit = once(service.child, "exit");
    service.child.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
  }, 30_000);
});
