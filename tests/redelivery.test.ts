import { randomUUID } from "node:crypto";
import type { Task } from "../services/tasks/task.schema.ts";
import { nodesOf, openBus, startRogue, type TestNode } from "./support/broker.ts";
import { buildPerson, type Person } from "./support/client.ts";
import { query } from "./support/database.ts";
import { type RunningSystem, ready, start, startMesh, stopProcess } from "./support/system.ts";

/** Two tasks nodes; a connection that is cut makes RabbitMQ deliver again, to the same node or after a retry to another. */
let mesh: RunningSystem;
let replica: Awaited<ReturnType<typeof start>>;
let caller: TestNode;
let hand: Awaited<ReturnType<typeof openBus>>;
let nodes: string[];
let ada: Person;
let passport: string;

beforeAll(async () => {
  mesh = await startMesh();
  replica = await start("tasks 2", ["scripts/service.ts", "tasks"], mesh.env);
  await ready(replica.child, `${replica.opsUrl}/health/ready`);
  [caller, hand] = await Promise.all([startRogue(mesh), openBus(mesh)]);
  nodes = await nodesOf(caller.broker, "tasks", 2);
  await caller.broker.waitForServices("auth");
});
beforeEach(async () => {
  ada = await buildPerson(mesh);
  const verified = await caller.broker.call<{ passport: string }, object>("auth.verify", {
    token: ada.tokens.accessToken,
  });
  passport = verified.passport;
});
afterAll(async () => {
  await Promise.all([caller.stop(), hand.close(), stopProcess(replica.child)]);
  await mesh.stop();
});

/** The same packet to both nodes, twice each, at once. */
const deliver = (action: string, params: object, meta: object) =>
  Promise.all(
    [...nodes, ...nodes].map((node) => hand.request(node, { action, params, meta: { passport, ...meta } })),
  );
const changes = () =>
  query(mesh.databaseUrl, "SELECT op FROM tasks.task_changes WHERE user_id = $1 ORDER BY seq", [ada.user.id]);

describe("a request that RabbitMQ delivers again, to two nodes", () => {
  test("creates one task, and is answered alike each time", async () => {
    const answers = await deliver("tasks.create", { title: "Once" }, { operationId: randomUUID() });
    const created = answers.map(({ data }) => JSON.stringify(data));
    expect(answers.map(({ success }) => success)).toEqual([true, true, true, true]);
    expect(new Set(created).size).toBe(1);
    expect(await changes()).toEqual([{ op: "create" }]);
  });

  test("changes a task once, under a condition too", async () => {
    const { body } = await ada.http.post<Task>("/tasks", { title: "A" });
    const params = { id: body.id, patch: { title: "B" }, ifMatch: [1] };
    const answers = await deliver("tasks.update", params, { operationId: randomUUID() });
    expect(answers).toMatchObject(answers.map(() => ({ success: true, data: { title: "B", version: 2 } })));
    expect(await changes()).toEqual([{ op: "create" }, { op: "update" }]);
  });

  test("does a bulk once; who comes while it runs is told so", async () => {
    const operations = [
      { op: "create", task: { title: "1" } },
      { op: "create", task: { title: "2" } },
    ];
    const answers = await deliver("tasks.bulk", { operations }, { operationId: randomUUID() });
    const done = answers.filter(({ success }) => success);
    expect(done.length).toBeGreaterThan(0);
    expect(new Set(done.map(({ data }) => JSON.stringify(data))).size).toBe(1);
    for (const { success, error } of answers) if (!success) expect(error?.type).toBe("idempotency_in_flight");
    expect(await changes()).toEqual([{ op: "create" }, { op: "create" }]);
  });

  test("erases once, and says the same when it is asked again", async () => {
    const { body } = await ada.http.post<Task>("/tasks", { title: "A" });
    await ada.http.delete(`/tasks/${body.id}`);
    const meta = { operationId: randomUUID() };
    await deliver("tasks.erase", { id: body.id }, meta);
    const again = await deliver("tasks.erase", { id: body.id }, meta);
    expect(again.some(({ success }) => success)).toBe(true);
    expect(await changes()).toEqual([{ op: "create" }, { op: "delete" }, { op: "erase" }]);
  });

  test("with a key of the client's own is done once on either node", async () => {
    const answers = await deliver("tasks.create", { title: "Once" }, { idempotencyKey: "my-key" });
    const done = answers.filter(({ success }) => success);
    expect(new Set(done.map(({ data }) => JSON.stringify(data))).size).toBe(1);
    expect(await changes()).toEqual([{ op: "create" }]);
  });

  test.each([{ operationId: "x" }, { operationId: 1 }, { idempotencyKey: "a b" }, { idempotencyKey: 5 }])(
    "is refused with %p",
    async (meta) => {
      const [answer] = await deliver("tasks.create", { title: "Once" }, meta);
      expect(answer).toMatchObject({ success: false, error: { type: "invalid_request" } });
      expect(await changes()).toEqual([]);
    },
  );
});
