import { setTimeout as delay } from "node:timers/promises";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import { buildPerson, type Person } from "./support/client.ts";
import { type Cluster, startCluster } from "./support/rabbitmq-cluster.ts";
import { type RunningSystem, startMesh } from "./support/system.ts";

/** Milliseconds until everything works again: two attempts to reconnect. */
const WORKS_WITHIN = 12_000;

let cluster: Cluster;
let mesh: RunningSystem;
let ada: Person;

beforeAll(async () => {
  cluster = await startCluster(makeScratchFolder("rabbitmq-cluster"), 3);
  const [first, second, third] = cluster.members.map(({ url }) => url);
  // Each service begins with another broker.
  const from = (...urls: (string | undefined)[]) => ({ AMQP_URL: urls.join(";") });
  mesh = await startMesh(
    { AMQP_URL: cluster.url },
    { auth: from(first, second, third), tasks: from(second, third, first), api: from(third, first, second) },
  );
  ada = await buildPerson(mesh);
}, 120_000);

afterAll(async () => {
  await mesh?.stop();
  await cluster?.release();
}, 30_000);

/** What a person gets of a request through all three services, until `working` of them in a row worked. */
async function outage(working: number): Promise<{ answers: number[]; milliseconds: number }> {
  const startedAt = performance.now();
  const answers: number[] = [];
  let lastFailure = startedAt;
  for (let inRow = 0; inRow < working; ) {
    const title = `Task ${answers.length}`;
    const created = await ada.http.post<{ title: string }>("/tasks", { title });
    if (created.status === 201) expect(created.body.title).toBe(title);
    answers.push(created.status);
    inRow = created.status === 201 ? inRow + 1 : 0;
    if (inRow === 0) lastFailure = performance.now();
    await delay(50);
  }
  return { answers, milliseconds: lastFailure - startedAt };
}

describe("a mesh on three RabbitMQs", () => {
  test.each([0, 1, 2])("works again after broker %i was killed, and no process was started anew", async (index) => {
    const member = cluster.members[index];
    await member?.kill();
    const { answers, milliseconds } = await outage(20);
    process.stderr.write(`broker ${index}: ${Math.round(milliseconds)} ms ${answers.join(" ")}\n`);
    expect(answers.filter((status) => status !== 201 && status !== 503)).toEqual([]);
    expect(milliseconds).toBeLessThan(WORKS_WITHIN);
    expect(mesh.processes.map(({ child }) => child.exitCode)).toEqual([null, null, null]);
    await member?.start();
  }, 90_000);
});
