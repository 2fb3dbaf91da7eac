import { once } from "node:events";
import { readFileSync, rmSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import { AMQP_URL, newNamespace, openHandler, startProjectNode, type TestNode } from "./support/broker.ts";
import { type Line, openLine } from "./support/line.ts";
import { ready, start, stopProcess } from "./support/system.ts";

/** A service in a process of its own that reaches RabbitMQ by a line, and who calls it. */
const namespace = newNamespace();
const settings = { MESH_NAMESPACE: namespace, HOST: "127.0.0.1", DRAIN_DELAY: "0s", LOG_LEVEL: "fatal" };
let line: Line;
let service: Awaited<ReturnType<typeof start>>;
let caller: TestNode;
const isReady = (): Promise<void> => ready(service.child, `${service.opsUrl}/health/ready`);
const ask = (action: string, timeout = 4_000): Promise<unknown> =>
  caller.broker.call(`counter.${action}`, {}, { timeout });

/** Whether it was gone just now is known when it is asked. */
async function answered(action: string): Promise<unknown> {
  for (;;) {
    await caller.broker.waitForServices("counter");
    const answer = await ask(action).catch(() => undefined);
    if (answer !== undefined) return answer;
  }
}

beforeAll(async () => {
  const auth = { name: "auth", actions: { jwks: openHandler(() => ({ keys: [] })) } };
  caller = await startProjectNode([auth], { namespace });
});
afterAll(() => caller.stop());

describe("a process that can't start yet", () => {
  it("ends at once, and in order, when it is told to", async () => {
    const silent = createServer((socket) => socket.on("error", () => {})).listen(0, "127.0.0.1");
    await once(silent, "listening");
    const address = silent.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const { child } = await start("counter", ["scripts/service.ts", "tests/support/counter.service.ts"], {
      ...settings,
      AMQP_URL: `amqp://u:p@127.0.0.1:${port}`,
    });
    try {
      const [socket] = await once(silent, "connection");
      const exit = once(child, "exit");
      child.kill("SIGTERM");
      expect(await exit).toEqual([0, null]);
      socket.destroy();
    } finally {
      child.kill("SIGKILL");
      silent.close();
    }
  }, 30_000);

  it("says what its database has against it", async () => {
    const directory = makeScratchFolder("survival");
    const log = join(directory, "log");
    const refused = Object.assign(new URL(process.env.DATABASE_URL ?? ""), {
      username: "nobody_of_that_name",
    });
    const { child } = await start("tasks", ["scripts/service.ts", "tasks"], {
      ...settings,
      AMQP_URL,
      TASKS_DATABASE_URL: refused.href,
      LOG_LEVEL: "warn",
      TEST_OUTPUT: log,
    });
    try {
      const said = (): string | undefined =>
        readFileSync(log, "utf8")
          .split("\n")
          .find((line) => line.includes("the database can't be used"));
      while (said() === undefined) await delay(50);
      expect(JSON.parse(said() ?? "")).toMatchObject({
        err: { original: { code: expect.stringMatching(/^28/) } },
      });
    } finally {
      await stopProcess(child, "SIGKILL");
      rmSync(directory, { recursive: true });
    }
  }, 30_000);
});

describe("a process", () => {
  beforeEach(async () => {
    line = await openLine(AMQP_URL);
    service = await start("counter", ["scripts/service.ts", "tests/support/counter.service.ts"], {
      ...settings,
      AMQP_URL: line.url,
    });
    await isReady();
    await caller.broker.waitForServices("counter");
  });
  afterEach(async () => {
    await stopProcess(service.child);
    line.close();
  });

  it("lives on when its connection to RabbitMQ ends, at whatever step of its making", async () => {
    for (let pieces = 1; pieces <= 16; pieces++) {
      line.cutAfter(pieces);
      const left = line.left();
      line.cut();
      await left;
      await line.left();
      await isReady();
    }
    expect(await answered("count")).toBe(0);
  }, 60_000);

  it("that stood still does nothing of what it was asked meanwhile: others were asked instead", async () => {
    const { child } = service;
    child.kill("SIGSTOP");
    await expect(ask("add", 500)).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
    // Longer than anybody waits for an answer, and not so long that it would miss the heartbeats.
    await delay(3_700);
    child.kill("SIGCONT");
    expect(await answered("count")).toBe(0);
    expect(await answered("add")).toBe(1);
  }, 30_000);

  it("that stood still for less than that tells what is late from what is still waited for", async () => {
    const { child } = service;
    child.kill("SIGSTOP");
    const late = ask("addInTime", 1_500);
    const inTime = ask("addInTime", 4_000);
    await expect(late).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
    child.kill("SIGCONT");
    expect(await inTime).toBe(1);
    expect(await answered("count")).toBe(1);
  }, 30_000);

  it("ends in order though RabbitMQ says nothing any more", async () => {
    line.silence();
    const exit = once(service.child, "exit");
    service.child.kill("SIGTERM");
    expect(await exit).toEqual([0, null]);
  }, 30_000);
});
