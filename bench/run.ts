/**
 * npm run bench
 *
 * The whole mesh (three processes over RabbitMQ, each request verified by auth) against a bare server
 * over the same tables (bench/support/bare-server.ts), taking turns in one run. Writes bench/results/.
 *
 *   npm run bench -- list create     these scenarios only, of: list get create patch deepPages login events; writes nothing
 */
import { writeFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { Client } from "pg";
import { buildPerson } from "../tests/support/client.ts";
import { startMesh } from "../tests/support/system.ts";
import { startBare, startBareMesh } from "./support/bare.ts";
import { chart } from "./support/chart.ts";
import { countCpu, findBackends, type Processes, processesOf, processesWith } from "./support/cpu.ts";
import { type Load, type Measured, putLoad } from "./support/load.ts";
import { buildPeople, fillTasks, personOf, readBy } from "./support/people.ts";
import { median, quantile } from "./support/statistics.ts";
import { measureStreams } from "./support/streams.ts";

const PEOPLE = 16;
const TASKS_OF_THE_BUSIEST = 200_000;
const CLIENTS = 32;
const CROWD = 500;
const SECONDS = 3;
const TURNS = 5;
/** Before each scenario. V8 goes on optimizing what a mesh runs for some ten seconds of load: at first it does half as much. */
const WARM_UP_SECONDS = 10;
/** Of another kind of work; bcrypt at its usual cost. */
const LOGIN_CLIENTS = 4;
const RESULTS = join(import.meta.dirname, "results");

const wanted = process.argv.slice(2);
const isWanted = (name: string): boolean => wanted.length === 0 || wanted.includes(name);
const mesh = await startMesh({ LOG_LEVEL: "info", BCRYPT_COST: "12" });
const database = new Client({ connectionString: mesh.databaseUrl });
await database.connect();

console.error("[bench] people and their tasks…");
const people = await buildPeople(mesh, database, PEOPLE);
const busiest = await buildPerson(mesh);
await fillTasks(database, [busiest.user.id], TASKS_OF_THE_BUSIEST);
const bare = await startBare(mesh);

let backends: number[] = [];
const servers: Processes = {
  rabbitmq: () => processesWith("beam.smp"),
  postgres: () => backends,
};
const nodes = processesOf(mesh.processes);
const processes: Processes = { ...nodes, ...servers };

type Request = Load["request"];
const list = readBy(people, "/tasks");
const ids = await idsOf();

/** Of all runs: a title that a task has already would be no change. */
let changes = 0;
const scenarios: Record<string, Request> = {
  list,
  get: (n) => ({
    method: "GET",
    path: `/tasks/${ids[n % ids.length]?.id}`,
    token: ids[n % ids.length]?.token ?? "",
  }),
  create: (n) => ({
    method: "POST",
    path: "/tasks",
    token: personOf(people, n).tokens.accessToken,
    body: { title: `Task ${n}`, description: "Made by the benchmark", tags: ["bench"] },
  }),
  patch: (n) => ({
    method: "PATCH",
    path: `/tasks/${ids[n % ids.length]?.id}`,
    token: ids[n % ids.length]?.token ?? "",
    body: { title: `Changed ${++changes}` },
  }),
};

const results: Record<string, Record<string, unknown>> = {};
for (const [name, request] of Object.entries(scenarios)) {
  if (!isWanted(name)) continue;
  results[name] = await compare(name, request);
  // Before the writes, which PostgreSQL goes on tidying up after.
  if (name === "list")
    Object.assign(results[name], await measureOneClient(), await measureGrowth(), {
      crowd: await measureCrowd(),
      bareMesh: await measureBareMesh(),
    });
}
if (isWanted("deepPages")) results.deepPages = await measureDeepPages();
if (isWanted("login")) results.login = await measureLogins();
bare.stop();
await database.end();
await mesh.stop();
if (isWanted("events")) {
  console.error("[bench] event streams…");
  results.events = await measureStreams();
}
report();
process.exit(0);

/** Taking turns, so that whatever else the machine does falls on both. */
async function compare(name: string, request: Request): Promise<Record<string, unknown>> {
  console.error(`[bench] ${name}…`);
  const load = { request, clients: CLIENTS, seconds: SECONDS };
  for (const origin of [mesh.baseUrl, bare.origin])
    await putLoad({ origin, ...load, seconds: WARM_UP_SECONDS });
  const turns: {
    ours: Measured;
    theirs: Measured;
    cpu: Record<string, number>;
    messages: number;
    bareCpu: number;
  }[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    backends = await findBackends(database);
    const ours = countCpu(processes);
    const sentBefore = await countBusMessages();
    const measured = await putLoad({ origin: mesh.baseUrl, ...load });
    const cpu = perRequest(ours(), measured);
    const messages = ((await countBusMessages()) - sentBefore) / measured.requests;
    const theirs = countCpu(bare.processes);
    const bareMeasured = await putLoad({ origin: bare.origin, ...load });
    turns.push({
      ours: measured,
      theirs: bareMeasured,
      cpu,
      messages,
      bareCpu: perRequest(theirs(), bareMeasured).bare ?? 0,
    });
  }
  const latencies = turns.flatMap(({ ours }) => ours.latencies);
  const names = Object.keys(processes);
  const cpu = Object.fromEntries(
    names.map((each) => [each, round(median(turns.map((turn) => turn.cpu[each] ?? 0)))]),
  );
  const cpuMicrosOfNodes = Object.keys(nodes).reduce((sum, each) => sum + (cpu[each] ?? 0), 0);
  const bareCpu = median(turns.map((turn) => turn.bareCpu));
  const cpuMicrosPerRequest = names.reduce((sum, each) => sum + (cpu[each] ?? 0), 0);
  return {
    ratio: round(median(turns.map(({ ours, theirs }) => ours.rate / theirs.rate)), 3),
    rate: round(median(turns.map(({ ours }) => ours.rate))),
    bareRate: round(median(turns.map(({ theirs }) => theirs.rate))),
    p50Ms: round(quantile(latencies, 0.5), 2),
    p99Ms: round(quantile(latencies, 0.99), 2),
    busMessagesPerRequest: round(median(turns.map(({ messages }) => messages)), 2),
    cpuMicrosPerRequest,
    cpuMicrosOfNodes,
    cpuMicros: { ...cpu, bare: round(bareCpu) },
    cpuRatio: round(cpuMicrosPerRequest / bareCpu, 2),
  };
}

/** One client alone: what a request takes when nothing waits. */
async function measureOneClient(): Promise<Record<string, unknown>> {
  console.error("[bench] one client…");
  const load = { request: list, clients: 1, seconds: SECONDS };
  const ours: number[] = [];
  const theirs: number[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    ours.push(median((await putLoad({ origin: mesh.baseUrl, ...load })).latencies));
    theirs.push(median((await putLoad({ origin: bare.origin, ...load })).latencies));
  }
  return {
    oneClientP50Ms: round(median(ours), 2),
    bareOneClientP50Ms: round(median(theirs), 2),
    oneClientRatio: round(median(ours.map((each, turn) => each / (theirs[turn] ?? each))), 2),
  };
}

/** The same hops with nothing on them (support/bare-node.ts): what RabbitMQ and three processes cost by themselves. */
async function measureBareMesh(): Promise<Record<string, unknown>> {
  console.error("[bench] a bare mesh…");
  const bareMesh = await startBareMesh(mesh);
  await putLoad({ origin: bareMesh.origin, request: list, clients: CLIENTS, seconds: WARM_UP_SECONDS });
  backends = await findBackends(database);
  const measure = async (origin: string, of: Processes) => {
    const load = { origin, request: list, seconds: SECONDS };
    const cpu = countCpu({ ...of, ...servers });
    const measured = await putLoad({ ...load, clients: CLIENTS });
    const micros = Object.values(perRequest(cpu(), measured)).reduce((sum, each) => sum + each, 0);
    const alone = median((await putLoad({ ...load, clients: 1 })).latencies);
    return { rate: measured.rate, micros, alone };
  };
  type Figures = Awaited<ReturnType<typeof measure>>;
  const turns: { ours: Figures; theirs: Figures }[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const ours = await measure(mesh.baseUrl, nodes);
    turns.push({ ours, theirs: await measure(bareMesh.origin, bareMesh.processes) });
  }
  bareMesh.stop();
  const theirs = (of: (figures: Figures) => number): number => median(turns.map((turn) => of(turn.theirs)));
  const ratio = (of: (figures: Figures) => number): number =>
    round(median(turns.map((turn) => of(turn.ours) / of(turn.theirs))), 3);
  return {
    ratio: ratio(({ rate }) => rate),
    rate: round(theirs(({ rate }) => rate)),
    cpuRatio: ratio(({ micros }) => micros),
    cpuMicrosPerRequest: round(theirs(({ micros }) => micros)),
    oneClientRatio: ratio(({ alone }) => alone),
    oneClientP50Ms: round(
      theirs(({ alone }) => alone),
      2,
    ),
  };
}

/** More clients than can be served at once. */
async function measureCrowd(): Promise<Record<string, unknown>> {
  console.error("[bench] a crowd…");
  const load = { origin: mesh.baseUrl, request: list, clients: CROWD, seconds: SECONDS };
  const turns: Measured[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) turns.push(await putLoad(load));
  const latencies = turns.flatMap((turn) => turn.latencies);
  return {
    clients: CROWD,
    rate: round(median(turns.map(({ rate }) => rate))),
    p50Ms: round(quantile(latencies, 0.5)),
    p99Ms: round(quantile(latencies, 0.99)),
  };
}

/** The list of somebody with 200,000 tasks, against that of one of the others with 1,000. */
async function measureGrowth(): Promise<Record<string, unknown>> {
  console.error("[bench] 200,000 tasks of one person…");
  const ratios: number[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const few = await putLoad({
      origin: mesh.baseUrl,
      request: readBy(people.slice(0, 1), "/tasks"),
      clients: CLIENTS,
      seconds: 2,
    });
    const many = await putLoad({
      origin: mesh.baseUrl,
      request: () => ({ method: "GET", path: "/tasks", token: busiest.tokens.accessToken }),
      clients: CLIENTS,
      seconds: 2,
    });
    ratios.push(few.rate / many.rate);
  }
  return { costOf200000Rows: round(median(ratios), 3) };
}

/** Page 1,000 against page 1, by the cursors that a client has followed. */
async function measureDeepPages(): Promise<Record<string, unknown>> {
  console.error("[bench] deep pages…");
  const token = busiest.tokens.accessToken;
  let cursor = "";
  for (let page = 0; page < 1_000; page += 1) {
    const path = `/tasks?limit=100${cursor === "" ? "" : `&cursor=${cursor}`}`;
    const { body } = await busiest.http.get<{ nextCursor: string }>(path);
    cursor = body.nextCursor;
  }
  const at = (path: string) =>
    putLoad({
      origin: mesh.baseUrl,
      request: () => ({ method: "GET", path, token }),
      clients: CLIENTS,
      seconds: SECONDS,
    });
  const ratios: number[] = [];
  for (let turn = 0; turn < TURNS; turn += 1) {
    const first = await at("/tasks?limit=100");
    const deep = await at(`/tasks?limit=100&cursor=${cursor}`);
    ratios.push(first.rate / deep.rate);
  }
  return { costOfPage1000: round(median(ratios), 3) };
}

/** Sign-ins at bcrypt's usual cost. */
async function measureLogins(): Promise<Record<string, unknown>> {
  console.error("[bench] logins…");
  const { rate, latencies } = await putLoad({
    origin: mesh.baseUrl,
    request: (n) => {
      const { email, password } = personOf(people, n);
      return { method: "POST", path: "/auth/login", token: "none", body: { email, password } };
    },
    clients: LOGIN_CLIENTS,
    seconds: 10,
  });
  return {
    rate: round(rate, 1),
    p50Ms: round(quantile(latencies, 0.5)),
    p99Ms: round(quantile(latencies, 0.99)),
  };
}

/** A run of some scenarios is printed alone: the files are of one whole run. */
function report(): void {
  for (const [name, result] of Object.entries(results)) console.log(name, JSON.stringify(result));
  if (wanted.length > 0) return;
  const machine = { cores: availableParallelism(), node: process.version, clients: CLIENTS };
  writeFileSync(join(RESULTS, "latest.json"), `${JSON.stringify({ machine, ...results }, null, 2)}\n`);
  const compared = Object.entries(results).filter(([, { ratio }]) => typeof ratio === "number");
  const bars = compared.map(([name, { ratio, rate }]) => ({
    name,
    value: Number(ratio),
    label: `${ratio} × (${rate} a second)`,
  }));
  writeFileSync(
    join(RESULTS, "latest.svg"),
    chart("Requests a second through the mesh, as a ratio to a bare server", bars),
  );
}

/** Some tasks of each person. */
async function idsOf(): Promise<{ id: string; token: string }[]> {
  const found: { id: string; token: string }[] = [];
  for (const { user, tokens } of people) {
    const { rows } = await database.query("SELECT id FROM tasks.tasks WHERE user_id = $1 LIMIT 64", [
      user.id,
    ]);
    found.push(...rows.map(({ id }) => ({ id, token: tokens.accessToken })));
  }
  return found.sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Sent to RabbitMQ by all processes since they started. */
async function countBusMessages(): Promise<number> {
  const pages = await Promise.all(
    mesh.processes.map(async ({ opsUrl }) => (await fetch(`${opsUrl}/metrics`)).text()),
  );
  const counts = pages.map((page) => /^taskmesh_bus_messages_total\{direction="sent"\} (\d+)$/m.exec(page));
  return counts.reduce((sum, found) => sum + Number(found?.[1]), 0);
}

function perRequest(cpu: Record<string, number>, { requests }: Measured): Record<string, number> {
  return Object.fromEntries(Object.entries(cpu).map(([name, micros]) => [name, micros / requests]));
}

function round(value: number, digits = 0): number {
  return Number(value.toFixed(digits));
}
