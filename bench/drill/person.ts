import { randomBytes } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import type { Client } from "./client.ts";
import { followEvents } from "./stream.ts";

/** Milliseconds between a person's requests. */
const PAUSE = 120;
const PASSWORD = "correct horse battery staple";

/** A write that the server said was done. */
export interface Acknowledged {
  op: "create" | "update" | "delete";
  taskId: string;
  version?: number;
  title?: string;
}

export interface Person {
  userId: string;
  acknowledged: Acknowledged[];
  /** Reads that showed something else than was acknowledged. */
  wrongReads: string[];
  events: ReturnType<typeof followEvents>;
  stop(): Promise<void>;
}

const newTitle = (): string => randomBytes(9).toString("hex");

/** Reads, writes, signs in and follows events, one request after another, and remembers what was acknowledged. */
export async function startPerson(client: Client, gateways: readonly string[]): Promise<Person> {
  const account = { email: `${newTitle()}@example.test`, password: PASSWORD };
  const registered = await client.call("POST", "/auth/register", { body: account });
  let signedIn = (await client.call("POST", "/auth/login", { body: account })).body;
  const token = (): string => String(signedIn.accessToken);
  const events = followEvents(gateways, token);
  const acknowledged: Acknowledged[] = [];
  const wrongReads: string[] = [];
  /** What is known of tasks whose every write was answered. */
  const known = new Map<string, string>();
  let stopped = false;

  async function create(keyed: boolean): Promise<void> {
    const title = newTitle();
    const { status, body } = await client.call("POST", "/tasks", { token: token(), body: { title }, keyed });
    if (status !== 201) return;
    const taskId = String(body.id);
    acknowledged.push({ op: "create", taskId, version: 1, title });
    known.set(taskId, title);
  }

  async function bulk(): Promise<void> {
    const titles = [newTitle(), newTitle()];
    const operations = titles.map((title) => ({ op: "create", task: { title } }));
    const { status, body } = await client.call("POST", "/tasks/bulk", {
      token: token(),
      body: { operations },
      keyed: true,
    });
    if (status !== 200 || !Array.isArray(body.results)) return;
    body.results.forEach(({ task }, n) => {
      acknowledged.push({ op: "create", taskId: task.id, version: 1, title: titles[n] ?? "" });
    });
  }

  async function update(taskId: string, keyed: boolean): Promise<void> {
    const title = newTitle();
    known.delete(taskId);
    const wanted = { token: token(), body: { title }, keyed };
    const { status, body } = await client.call("PATCH", `/tasks/${taskId}`, wanted);
    if (status !== 200) return;
    acknowledged.push({ op: "update", taskId, version: Number(body.version), title });
    known.set(taskId, title);
  }

  async function read(taskId: string): Promise<void> {
    const expected = known.get(taskId);
    const { status, body } = await client.call("GET", `/tasks/${taskId}`, { token: token() });
    if (status === 200 && body.title !== expected)
      wrongReads.push(`${taskId}: ${body.title}, not ${expected}`);
  }

  async function remove(taskId: string): Promise<void> {
    known.delete(taskId);
    const { status } = await client.call("DELETE", `/tasks/${taskId}`, { token: token(), keyed: true });
    if (status === 204) acknowledged.push({ op: "delete", taskId });
  }

  async function signIn(): Promise<void> {
    const { status, body } = await client.call("POST", "/auth/login", { body: account });
    if (status === 200) signedIn = body;
  }

  async function refresh(): Promise<void> {
    const { status, body } = await client.call("POST", "/auth/refresh", {
      body: { refreshToken: signedIn.refreshToken },
    });
    if (status === 200) signedIn = body;
    else await signIn();
  }

  const steps: ((latest: string | undefined, n: number) => Promise<unknown>)[] = [
    (_, n) => create(n % 2 === 0),
    async (latest) => latest && update(latest, false),
    async (latest) => latest && read(latest),
    () => client.call("GET", "/tasks?limit=10", { token: token() }),
    async (latest, n) => latest && update(latest, n % 3 === 0),
    (_, n) => (n % 2 === 0 ? signIn() : refresh()),
    async (latest) => latest && read(latest),
    bulk,
    () => client.call("GET", "/auth/me", { token: token() }),
    async (latest) => latest && remove(latest),
  ];
  const working = (async () => {
    for (let n = Math.floor(Math.random() * steps.length); !stopped; n++) {
      await steps[n % steps.length]?.([...known.keys()].at(-1), n);
      await delay(PAUSE * (0.5 + Math.random()));
    }
  })();

  return {
    userId: String(registered.body.id),
    acknowledged,
    wrongReads,
    events,
    async stop() {
      stopped = true;
      await Promise.all([working, events.close()]);
    },
  };
}
