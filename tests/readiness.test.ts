import { setTimeout as delay } from "node:timers/promises";
import { type ServiceSchema, Transporters } from "moleculer";
import { isOnBus } from "../lib/node.ts";
import { newNamespace, nodesOf, startProjectNode, type TestNode } from "./support/broker.ts";
import { type RunningSystem, ready, start, startMesh, stopProcess } from "./support/system.ts";

const nothing: ServiceSchema = { name: "nothing" };

/** Resolves when the URL answers this. */
async function answers(url: string, status: number): Promise<Response> {
  for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
    const answer = await fetch(url);
    if (answer.status === status) return answer;
    await delay(20);
  }
  throw new Error(`${url} did not answer ${status}`);
}

/** RabbitMQ's side of a node, for a test that breaks it. */
function transporterOf({ broker }: TestNode): Transporters.AMQP {
  const tx = broker.transit?.tx;
  if (!(tx instanceof Transporters.AMQP)) throw new Error("not on RabbitMQ");
  return tx;
}

test("a node whose channel RabbitMQ has closed is not ready, however connected it looks", async () => {
  const node = await startProjectNode([nothing], { namespace: newNamespace() });
  try {
    expect(isOnBus(node.broker)).toBe(true);
    const { channel } = transporterOf(node);
    if (!channel) throw new Error("no channel");
    const closed = new Promise((resolve) => channel.once("close", resolve));
    // The acknowledgement of what RabbitMQ never gave: 406.
    channel.ack({ fields: { deliveryTag: 999_999, redelivered: false, exchange: "", routingKey: "" } });
    await closed;
    expect(node.broker.transit?.connected).toBe(true);
    expect(isOnBus(node.broker)).toBe(false);
  } finally {
    await node.stop();
    // Moleculer leaves a connection without a channel open, and would open another one instead.
    await Object.assign(transporterOf(node), { connectionDisconnecting: true }).connection?.close();
  }
});

test("one process without a bus has nothing to lose there", async () => {
  const node = await startProjectNode([nothing]);
  expect(isOnBus(node.broker)).toBe(true);
  await node.stop();
});

describe("a gateway", () => {
  let mesh: RunningSystem;
  const gateway = () => {
    const found = mesh.processes.find(({ name }) => name === "api");
    if (!found) throw new Error("no gateway");
    return found;
  };

  beforeAll(async () => {
    mesh = await startMesh({}, { api: { DRAIN_DELAY: "5s" } });
  }, 60_000);
  afterAll(() => mesh?.stop());

  test("serves all of its routes from the moment it says that it is ready", async () => {
    await ready(gateway().child, `${gateway().opsUrl}/health/ready`);
    expect((await fetch(`${mesh.baseUrl}/tasks`)).status).toBe(401);
    expect((await fetch(`${mesh.baseUrl}/openapi.json`)).status).toBe(200);
  });

  test("is not ready while a service that it needs does not answer, and says so on both ports", async () => {
    const tasks = mesh.processes.find(({ name }) => name === "tasks");
    if (!tasks) throw new Error("no tasks");
    tasks.child.kill("SIGSTOP");
    try {
      await answers(`${gateway().opsUrl}/health/ready`, 503);
      await answers(`${mesh.baseUrl}/health/ready`, 503);
      expect((await fetch(`${gateway().opsUrl}/health/live`)).status).toBe(200);
    } finally {
      tasks.child.kill("SIGCONT");
    }
    await answers(`${gateway().opsUrl}/health/ready`, 200);
  });

  test("is ready while one of two nodes of such a service does not answer", async () => {
    const first = mesh.processes.find(({ name }) => name === "tasks");
    const second = await start("tasks", ["scripts/service.ts", "tasks"], mesh.env);
    const other = await startProjectNode([nothing], { namespace: mesh.namespace });
    try {
      // What one node has been told, so has the gateway.
      await nodesOf(other.broker, "tasks", 2);
      first?.child.kill("SIGSTOP");
      const answered = [];
      for (let tries = 0; tries < 4; tries++) {
        answered.push((await fetch(`${gateway().opsUrl}/health/ready`)).status);
      }
      expect(answered).toEqual([200, 200, 200, 200]);
    } finally {
      first?.child.kill("SIGCONT");
      await Promise.all([stopProcess(second.child), other.stop()]);
    }
  }, 60_000);

  test("that is told to stop is unready first, serves on with connections that it lets go, and then ends", async () => {
    const { child, opsUrl } = gateway();
    await ready(child, `${opsUrl}/health/ready`);
    expect((await fetch(`${mesh.baseUrl}/health/live`)).headers.get("connection")).toBe("keep-alive");
    const stopped = stopProcess(child);
    await answers(`${opsUrl}/health/ready`, 503);
    await answers(`${mesh.baseUrl}/health/ready`, 503);
    expect((await fetch(`${opsUrl}/health/live`)).status).toBe(200);
    const served = await fetch(`${mesh.baseUrl}/tasks`);
    expect(served.status).toBe(401);
    expect(served.headers.get("connection")).toBe("close");
    await stopped;
    expect(child.exitCode).toBe(0);
    await expect(fetch(mesh.baseUrl)).rejects.toThrow("fetch failed");
  });
});
