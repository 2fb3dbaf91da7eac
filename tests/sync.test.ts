import fc from "fast-check";
import type { Changes } from "../services/tasks/changes.schema.ts";
import type { TaskPage } from "../services/tasks/list.schema.ts";
import type { Task } from "../services/tasks/task.schema.ts";
import { startRogue, type TestNode } from "./support/broker.ts";
import { buildPerson, type Person } from "./support/client.ts";
import { applyChanges, changesPath, newSyncClient, type SyncClient } from "./support/model/sync-client.ts";
import { soakFor } from "./support/soak.ts";
import { type RunningSystem, ready, type System, start, startMesh, stopProcess } from "./support/system.ts";
import { systems } from "./support/systems.ts";

/** Sequences in each mode; `npm run soak` goes on for minutes. */
const RUNS = 2;

/** A mesh of its own, with two nodes of tasks. */
let mesh: RunningSystem;
let second: Awaited<ReturnType<typeof start>>;
let caller: TestNode;

beforeAll(async () => {
  mesh = await startMesh();
  second = await start("tasks 2", ["scripts/service.ts", "tasks"], mesh.env);
  await ready(second.child, `${second.opsUrl}/health/ready`);
  caller = await startRogue(mesh);
  await caller.broker.waitForServices(["auth", "tasks"]);
  while (tasksNodes().length < 2) await new Promise((resolve) => setTimeout(resolve, 20));
});
afterAll(async () => {
  await caller.stop();
  await stopProcess(second.child);
  await mesh.stop();
});

const tasksNodes = (): string[] => {
  const services = caller.broker.registry.getServiceList({ onlyAvailable: true });
  return services.flatMap(({ name, nodeID }) => (name === "tasks" && nodeID ? [nodeID] : []));
};

const [oneProcess] = systems.filter(([mode]) => mode === "one process").map(([, system]) => system);
const places: [string, () => System | undefined][] = [
  ["one process", () => oneProcess],
  ["two nodes of tasks", () => mesh],
];

interface Step {
  do: "create" | "update" | "delete" | "restore" | "erase" | "bulk" | "empty trash";
  /** Which of the tasks that there are. */
  index: number;
}

interface Poll {
  limit: number;
  /** The connection breaks, or the client does before it has kept where it is, or it loses what it had. */
  breaks: "nothing" | "the connection" | "the client" | "its disk";
}

const step = fc.record<Step>({
  do: fc.constantFrom(
    "create",
    "create",
    "create",
    "update",
    "update",
    "delete",
    "restore",
    "erase",
    "bulk",
    "empty trash",
  ),
  index: fc.nat(30),
});
const poll = fc.record<Poll>({
  limit: fc.oneof(fc.integer({ min: 1, max: 5 }), fc.constant(1_000)),
  breaks: fc.constantFrom("nothing", "nothing", "nothing", "the connection", "the client", "its disk"),
});
const writers = fc.array(fc.array(step, { minLength: 5, maxLength: 25, size: "max" }), {
  minLength: 4,
  maxLength: 4,
});
const clients = fc.array(fc.array(poll, { minLength: 2, maxLength: 12, size: "max" }), {
  minLength: 3,
  maxLength: 3,
});

/** Writes what it is told, one after the other; tasks that it meets may be another writer's. */
async function write({ http }: Person, steps: Step[], ids: string[]): Promise<void> {
  for (const { do: what, index } of steps) {
    const id = ids[index % Math.max(1, ids.length)] ?? "01a202a9-7840-7b21-8f3e-6c5d4b3a2918";
    const title = `Task ${index}`;
    const answer = await {
      create: () => http.post<Task>("/tasks", { title }),
      update: () => http.patch(`/tasks/${id}`, { title, status: index % 2 ? "done" : "open" }),
      delete: () => http.delete(`/tasks/${id}`),
      restore: () => http.post(`/trash/${id}/restore`),
      erase: () => http.delete(`/trash/${id}`),
      bulk: () =>
        http.post("/tasks/bulk", {
          operations: [
            { op: "create", task: { title } },
            ...[...new Set(ids.slice(-4))].map((each) => ({ op: "update", id: each, task: { title } })),
            { op: "create", task: { title } },
          ],
          atomic: false,
        }),
      "empty trash": () => http.delete("/trash"),
    }[what]();
    expect([200, 201, 204, 404]).toContain(answer.status);
    if (what === "create") ids.push(Object(answer.body).id);
  }
}

/** One page for a client. @returns whether there is more */
async function take({ http }: Person, client: SyncClient, limit: number, keepPlace = true): Promise<boolean> {
  const { since } = client;
  const { status, body } = await http.get<Changes>(changesPath(client, limit));
  expect(status).toBe(200);
  // No change ever appears before one with a smaller number: whoever has read so far misses none.
  if (typeof since === "number") {
    expect(body.changes.map(({ seq }) => seq)).toEqual(body.changes.map((_, index) => since + index + 1));
  }
  applyChanges(client, body, keepPlace);
  return body.hasMore;
}

/** Follows the log while others write, and after that to its end. */
async function follow(
  system: System,
  person: Person,
  polls: Poll[],
  isOver: () => boolean,
): Promise<SyncClient> {
  let client = newSyncClient();
  for (let turn = 0; !isOver(); turn += 1) {
    const { limit = 1, breaks = "nothing" } = polls[turn % polls.length] ?? {};
    if (breaks === "the connection") await hangUp(system, person, changesPath(client, limit));
    else await take(person, client, limit, breaks !== "the client");
    if (breaks === "its disk") client = newSyncClient();
  }
  while (await take(person, client, 3));
  return client;
}

/** Asks and does not wait for the answer. */
async function hangUp({ baseUrl }: System, { tokens }: Person, path: string): Promise<void> {
  const connection = new AbortController();
  const headers = { Authorization: `Bearer ${tokens.accessToken}` };
  const lost = fetch(baseUrl + path, { headers, signal: connection.signal });
  setImmediate(() => connection.abort());
  await lost.then((answer) => answer.text()).catch(() => {});
}

async function listAll({ http }: Person): Promise<Task[]> {
  const items: Task[] = [];
  for (let cursor: string | null = ""; cursor !== null; ) {
    const { body }: { body: TaskPage } = await http.get(`/tasks?limit=100${cursor && `&cursor=${cursor}`}`);
    items.push(...body.items);
    cursor = body.nextCursor;
  }
  return items;
}

const byId = (tasks: Iterable<Task>): Task[] => [...tasks].sort((a, b) => (a.id < b.id ? -1 : 1));

describe.each(places)("clients that follow the log, %s", (mode, systemOf) => {
  test(
    "hold what the server has, whoever writes at once and whatever breaks",
    () =>
      soakFor(`sync, ${mode}`, async (seed) => {
        const system = systemOf();
        if (!system) throw new Error("There is no such system.");
        const answers: string[] = [];
        await fc.assert(
          fc.asyncProperty(writers, clients, async (scripts, polls) => {
            const person = await buildPerson(system);
            const ids: string[] = [];
            let over = false;
            const following = polls.map((each) => follow(system, person, each, () => over));
            await Promise.all(scripts.map((steps) => write(person, steps, ids))).finally(() => {
              over = true;
            });
            const copies = await Promise.all(following);
            const listed = byId(await listAll(person));
            for (const { copy } of copies) expect(byId(copy.values())).toEqual(listed);
            answers.push(...scripts.flat().map((each) => each.do));
          }),
          { numRuns: RUNS, ...(seed === undefined ? {} : { seed }) },
        );
        return { runs: RUNS, answers };
      }),
    soakFor.timeout,
  );
});

test("fifty writers at once on two nodes leave no gap, and no reader sees a change before a smaller one", async () => {
  const person = await buildPerson(mesh);
  const { passport } = await caller.broker.call<{ passport: string }, object>("auth.verify", {
    token: person.tokens.accessToken,
  });
  const nodes = tasksNodes();
  const create = (writer: number, title: string): Promise<Task> =>
    caller.broker.call<Task, object>(
      "tasks.create",
      { title },
      { nodeID: nodes[writer % 2] ?? "", meta: { passport } },
    );

  let over = false;
  const read: number[] = [];
  const reading = (async () => {
    for (let since = 0; ; ) {
      const last = over;
      const { body } = await person.http.get<Changes>(`/changes?since=${since}&limit=1000`);
      read.push(...body.changes.map(({ seq }) => seq));
      since = Number(body.nextSince);
      if (last && !body.hasMore) return;
    }
  })();
  const writing = Array.from({ length: 50 }, async (_, writer) => {
    const made: Task[] = [];
    for (let turn = 1; turn <= 4; turn += 1)
      made.push(await create(writer, `Writer ${writer}, task ${turn}`));
    return made;
  });
  const made = (
    await Promise.all(writing).finally(() => {
      over = true;
    })
  ).flat();
  await reading;

  const { body } = await person.http.get<Changes>("/changes?since=0&limit=1000");
  const numbers = Array.from({ length: 200 }, (_, index) => index + 1);
  expect(body.changes.map(({ seq }) => seq)).toEqual(numbers);
  expect(body.changes.map(({ taskId }) => taskId).sort()).toEqual(made.map(({ id }) => id).sort());
  // It asked for what comes after what it had: a number that had appeared before a smaller one would hide that.
  expect(read).toEqual(numbers);
  // What one writer wrote first has the smaller number.
  const place = new Map(body.changes.map(({ taskId, seq }) => [taskId, seq]));
  for (const [index, task] of made.entries()) {
    if (index % 4 > 0) expect(place.get(task.id)).toBeGreaterThan(place.get(made[index - 1]?.id ?? "") ?? 0);
  }
});
