import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { AMQP_URL, startRogue, type TestNode } from "./support/broker.ts";
import { buildPerson, buildTask, httpFor, type Person } from "./support/client.ts";
import { query } from "./support/database.ts";
import { openEvents, within } from "./support/events.ts";
import { type Line, openLine } from "./support/line.ts";
import { freePort, type RunningSystem, ready, start, startMesh, stopProcess } from "./support/system.ts";

/** Milliseconds: the gateway's own, between two looks for what nobody told of. */
const HEARTBEAT = 15_000;
/** Milliseconds that many writes may take to arrive; with a heartbeat for each it would be minutes. */
const SOON = 10_000;

/** A mesh of two tasks nodes and two gateways, the second of which reaches RabbitMQ by a line that can be cut. */
let mesh: RunningSystem;
let line: Line;
let second: { baseUrl: string };
let rogue: TestNode;
const processes = new Map<string, Awaited<ReturnType<typeof start>>>();

beforeAll(async () => {
  mesh = await startMesh();
  line = await openLine(AMQP_URL);
  const port = String(await freePort());
  second = { baseUrl: `http://127.0.0.1:${port}` };
  const gateway = { ...mesh.env, PORT: port, AMQP_URL: line.url };
  for (const [name, service, env] of [
    ["tasks 2", "tasks", mesh.env],
    ["api 2", "api", gateway],
  ] as const) {
    processes.set(name, await start(name, ["scripts/service.ts", service], env));
  }
  rogue = await startRogue(mesh);
  await Promise.all(
    [...processes.values()].map(({ child, opsUrl }) => ready(child, `${opsUrl}/health/ready`)),
  );
  await new Promise<void>((resolve) => {
    const look = (): void => {
      if (nodesOf("tasks").length === 2 && nodesOf("api").length === 2) resolve();
    };
    rogue.broker.localBus.on("$services.changed", look);
    look();
  });
});
afterAll(async () => {
  await rogue.stop();
  await Promise.all([...processes.values()].map(({ child }) => stopProcess(child)));
  await mesh.stop();
  line.close();
});

const nodesOf = (service: string): string[] =>
  rogue.broker.registry
    .getServiceList({ onlyAvailable: true })
    .flatMap(({ name, nodeID }) => (name === service && nodeID ? [nodeID] : []));

const processOf = (name: string) => {
  const found = processes.get(name);
  if (!found) throw new Error(`There is no ${name}.`);
  return found;
};

const open = (gateway: { baseUrl: string }, person: Person, lastEventId?: string) =>
  openEvents(gateway, { token: person.tokens.accessToken, lastEventId });

/** A write that no node tells of: as when it was killed after the commit. */
const writeUntold = (person: Person) =>
  query(
    mesh.databaseUrl,
    `INSERT INTO tasks.tasks (id, user_id, title, description, status, priority, tags, version, created_at, updated_at)
     VALUES ($1, $2, 'Untold', '', 'open', 0, '{}', 1, now(), now())`,
    [randomUUID(), person.user.id],
  );

describe("live events with two tasks nodes and two gateways", () => {
  it("come from each of the nodes to each of the gateways", async () => {
    const ada = await buildPerson(mesh);
    const { passport } = await rogue.broker.call<{ passport: string }, object>("auth.verify", {
      token: ada.tokens.accessToken,
    });
    const streams = await Promise.all([open(mesh, ada), open(second, ada)]);
    const [one = "", other = ""] = nodesOf("tasks");
    const write = async (): Promise<void> => {
      for (let n = 0; n < 20; n++) {
        const params = { title: `Task ${n}` };
        await rogue.broker.call("tasks.create", params, {
          nodeID: n % 2 ? one : other,
          meta: { passport },
        });
        await Promise.all(streams.map((stream) => stream.take(n + 1)));
      }
    };
    await within(SOON, write());
    const titles = Array.from({ length: 20 }, (_, n) => `Task ${n}`);
    for (const { events } of streams) expect(events.map(({ data }) => data.task?.title)).toEqual(titles);
    await Promise.all(streams.map((stream) => stream.close()));
  });

  it("end on both gateways when the session ends through one", async () => {
    const ada = await buildPerson(mesh);
    const streams = await Promise.all([open(mesh, ada), open(second, ada)]);
    await httpFor(second, ada.tokens.accessToken).post("/auth/logout");
    await within(2_000, Promise.all(streams.map(({ ended }) => ended)));
  });

  it("come at the next heartbeat when nobody told of them, and no later hint makes them come twice", async () => {
    const ada = await buildPerson(mesh);
    const stream = await open(mesh, ada);
    await stream.until(() => stream.raw().includes("\n\n"));
    await writeUntold(ada);
    await within(2 * HEARTBEAT, stream.take(1));
    await buildTask(ada, { title: "Told" });
    const events = await stream.take(2);
    expect(events.map(({ data }) => [data.seq, data.task?.title])).toEqual([
      [1, "Untold"],
      [2, "Told"],
    ]);
    await stream.close();
  }, 60_000);

  it("outlive a gateway's loss of RabbitMQ: all that was written comes once, and who logged out is out", async () => {
    const [ada, bob] = await Promise.all([buildPerson(mesh), buildPerson(mesh)]);
    const [stream, ends] = await Promise.all([open(second, ada), open(second, bob)]);
    await buildTask(ada);
    await stream.take(1);
    line.pull();
    for (let n = 0; n < 5; n++) await buildTask(ada);
    await bob.http.post("/auth/logout");
    await line.plugIn();
    await within(HEARTBEAT, Promise.all([stream.take(6), ends.ended]));
    await buildTask(ada);
    await stream.take(7);
    expect(stream.seqs()).toEqual([1, 2, 3, 4, 5, 6, 7]);
    await stream.close();
  }, 60_000);

  it("outlive a tasks node that is killed while somebody writes", async () => {
    const ada = await buildPerson(mesh);
    const stream = await open(mesh, ada);
    const writer = (async () => {
      for (let n = 0; n < 12; n++) {
        const { status } = await ada.http.post("/tasks", { title: `Task ${n}` });
        expect(status).toBe(201);
        if (n === 3) await stopProcess(processOf("tasks 2").child, "SIGKILL");
      }
    })();
    await writer;
    const { body } = await ada.http.get<{ changes: { seq: number }[] }>("/changes?since=0");
    await stream.take(12);
    expect(stream.seqs()).toEqual(body.changes.map(({ seq }) => seq));
    await stream.close();
  }, 90_000);

  it("of a gateway that stops end at once, and go on from another", async () => {
    const ada = await buildPerson(mesh);
    const stream = await open(second, ada);
    await buildTask(ada);
    await stream.take(1);
    const { child } = processOf("api 2");
    const exited = once(child, "exit");
    child.kill("SIGTERM");
    expect(await stream.ended).toBe("ended");
    // Nothing waits for a stream: a gateway gives requests eight seconds to be answered.
    expect(await within(6_000, exited)).toEqual([0, null]);
    await buildTask(ada);
    const resumed = await open(mesh, ada, stream.events.at(-1)?.id);
    await resumed.take(1);
    expect(resumed.seqs()).toEqual([2]);
    await resumed.close();
  });
});
