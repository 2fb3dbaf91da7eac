/**
 * What open streams cost one gateway, and how long a change and the end of a session take to reach them, over RabbitMQ:
 * DATABASE_URL=postgres://localhost AMQP_URL=amqp://localhost npm run bench:events
 */
import { readFileSync } from "node:fs";
import { Agent, get, request } from "node:http";
import { setTimeout as delay } from "node:timers/promises";
import { loadEnv } from "../config/env.ts";
import { startMesh } from "../tests/support/system.ts";

const PEOPLE = 250;
const STREAMS_EACH = 4;
/** Milliseconds. */
const IDLE_FOR = 16_000;
const WRITE_FOR = 10_000;
/** Writes a second. */
const RATE = 50;
const LOGOUTS = 20;
/** Ticks of the processor in a second, as /proc counts them. */
const TICKS = 100;

loadEnv("DATABASE_URL", "AMQP_URL");

interface Person {
  token: string;
  /** Told of each event, on each of the person's streams. */
  heard: (taskId: string, at: number) => void;
  /** When each of the streams was over. */
  ended: Promise<number>[];
}

const system = await startMesh();
const agent = new Agent({ keepAlive: true, maxSockets: 20 });
const gateway = system.processes.find(({ name }) => name === "api")?.child.pid ?? 0;

function call(method: string, path: string, token: string, body?: object): Promise<Record<string, unknown>> {
  const headers = {
    ...(token === "" ? {} : { Authorization: `Bearer ${token}` }),
    ...(body ? { "Content-Type": "application/json" } : {}),
  };
  return new Promise((resolve, reject) => {
    const sent = request(system.baseUrl + path, { method, headers, agent }, (response) => {
      let text = "";
      response.setEncoding("utf8").on("data", (chunk) => {
        text += chunk;
      });
      response.on("end", () => {
        if ((response.statusCode ?? 500) >= 400) reject(new Error(`${method} ${path}: ${text}`));
        else resolve(text === "" ? {} : JSON.parse(text));
      });
    });
    sent.on("error", reject).end(body ? JSON.stringify(body) : undefined);
  });
}

async function buildPerson(n: number): Promise<Person> {
  const account = { email: `bench-${n}@example.test`, password: "correct horse battery staple" };
  await call("POST", "/auth/register", "", account);
  const { accessToken } = await call("POST", "/auth/login", "", account);
  return { token: String(accessToken), heard: () => {}, ended: [] };
}

function openStream(person: Person): Promise<void> {
  const headers = { Authorization: `Bearer ${person.token}` };
  return new Promise((resolve, reject) => {
    get(`${system.baseUrl}/events`, { headers, agent: false }, (response) => {
      if (response.statusCode !== 200) return reject(new Error(`/events: ${response.statusCode}`));
      response.setEncoding("utf8").on("data", (chunk: string) => {
        const at = performance.now();
        for (const [, taskId = ""] of chunk.matchAll(/"taskId":"([^"]+)"/g)) person.heard(taskId, at);
      });
      person.ended.push(
        new Promise((over) => {
          response.on("end", () => over(performance.now()));
        }),
      );
      resolve();
    }).on("error", reject);
  });
}

/** Seconds of the processor that the gateway has used, and megabytes that it holds. */
function usage(): { cpu: number; memory: number } {
  const fields = readFileSync(`/proc/${gateway}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  const memory = /VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${gateway}/status`, "utf8"))?.[1];
  return { cpu: (Number(fields[11]) + Number(fields[12])) / TICKS, memory: Number(memory) / 1024 };
}

async function cpuDuring(ms: number, work: () => Promise<unknown>): Promise<string> {
  const before = usage().cpu;
  const startedAt = performance.now();
  await Promise.all([work(), delay(ms)]);
  const share = (usage().cpu - before) / ((performance.now() - startedAt) / 1000);
  return `${(share * 100).toFixed(0)} % of a core`;
}

const line = (what: string, delays: number[]): string => {
  delays.sort((a, b) => a - b);
  const at = (share: number): string => (delays[Math.floor(delays.length * share)] ?? 0).toFixed(1);
  return `${what}: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${delays.length})`;
};

const people: Person[] = [];
for (let n = 0; n < PEOPLE; n += 10) {
  const some = Array.from({ length: 10 }, (_, m) => buildPerson(n + m));
  people.push(...(await Promise.all(some)));
}
const before = usage().memory;
for (const person of people) {
  await Promise.all(Array.from({ length: STREAMS_EACH }, () => openStream(person)));
}
const after = usage().memory;
console.log(
  `${PEOPLE * STREAMS_EACH} streams: the gateway holds ${after.toFixed(0)} MB, ${before.toFixed(0)} MB before them`,
);
console.log(`idle: ${await cpuDuring(IDLE_FOR, async () => {})}`);

const fromAnswer: number[] = [];
const fromRequest: number[] = [];
const arrivals: Promise<unknown>[] = [];
/** Writes once, and waits until each of the person's streams has it. */
async function write(person: Person): Promise<void> {
  const arrived: [string, number][] = [];
  const { heard } = person;
  const all = Promise.withResolvers<void>();
  let created = "";
  const look = (): void => {
    if (arrived.filter(([taskId]) => taskId === created).length === STREAMS_EACH) all.resolve();
  };
  person.heard = (taskId, at) => {
    heard(taskId, at);
    arrived.push([taskId, at]);
    look();
  };
  const sentAt = performance.now();
  created = String((await call("POST", "/tasks", person.token, { title: "A task" })).id);
  const answeredAt = performance.now();
  look();
  await all.promise;
  for (const [taskId, at] of arrived) {
    if (taskId !== created) continue;
    fromAnswer.push(Math.max(0, at - answeredAt));
    fromRequest.push(at - sentAt);
  }
}
const writing = await cpuDuring(WRITE_FOR, async () => {
  for (let n = 0; n < (RATE * WRITE_FOR) / 1000; n++) {
    // Whose it is goes round, so that each one's writes are apart.
    const person = people[n % (PEOPLE - LOGOUTS)];
    if (person) arrivals.push(write(person));
    await delay(1000 / RATE);
  }
});
await Promise.all(arrivals);
console.log(`${RATE} writes a second, each to ${STREAMS_EACH} streams: ${writing}`);
console.log(line("  from the answer to a write to its event", fromAnswer));
console.log(line("  from the request to its event", fromRequest));

const ends: number[] = [];
for (const { token, ended } of people.slice(-LOGOUTS)) {
  await call("POST", "/auth/logout", token);
  const answeredAt = performance.now();
  for (const at of await Promise.all(ended)) ends.push(Math.max(0, at - answeredAt));
}
console.log(line("from the answer to a logout to the end of a stream", ends));
console.log(`the gateway holds ${usage().memory.toFixed(0)} MB`);
await system.stop();
process.exit(0);
