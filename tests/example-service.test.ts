import { type ChildProcess, spawn } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { ServiceBroker, Transporters } from "moleculer";
import type { Agenda } from "../examples/agenda/agenda.schema.ts";
import { type Answer, buildPerson, buildTask, httpFor, type Person } from "./support/client.ts";
import { freePort, type RunningSystem, ready, start, startMesh, stopProcess } from "./support/system.ts";

const ROOT = join(import.meta.dirname, "..");
const EXAMPLE = join(ROOT, "examples", "agenda");
/** Milliseconds until the other nodes have heard of a service that came or went. */
const HEARD_WITHIN = 10_000;

/** A checkout with the folder that docs/adding-a-service.md has its readers make. */
const checkout = mkdtempSync(join(tmpdir(), "taskmesh-checkout-"));

let mesh: RunningSystem;
let ada: Person;
let bob: Person;

beforeAll(async () => {
  for (const name of ["lib", "services", "node_modules", "package.json"]) {
    symlinkSync(join(ROOT, name), join(checkout, name));
  }
  const guide = readFileSync(join(ROOT, "docs", "adding-a-service.md"), "utf8");
  for (const [, name = "", text = ""] of guide.matchAll(/^```ts (focus\/\S+)\n(.*?)^```$/gms)) {
    mkdirSync(dirname(join(checkout, name)), { recursive: true });
    writeFileSync(join(checkout, name), text);
  }
  mesh = await startMesh({ EXTRA_ROUTES: `examples/agenda/routes.ts, ${checkout}/focus/routes.ts` });
  [ada, bob] = await Promise.all([buildPerson(mesh), buildPerson(mesh)]);
});
afterAll(async () => {
  await mesh?.stop();
  rmSync(checkout, { recursive: true, force: true });
});

const readAgenda = (person: Person): Promise<Answer<Agenda>> => person.http.get<Agenda>("/agenda");

/** Runs what `npm start` in the example's folder runs. */
async function startAgenda(): Promise<ChildProcess> {
  const { scripts } = JSON.parse(readFileSync(join(EXAMPLE, "package.json"), "utf8"));
  const [program, ...args] = scripts.start.split(" ");
  const OPS_PORT = String(await freePort());
  const agenda = spawn(program, args, {
    cwd: EXAMPLE,
    env: { ...process.env, ...mesh.env, OPS_PORT },
    stdio: ["ignore", "ignore", "inherit"],
  });
  await ready(agenda, `http://127.0.0.1:${OPS_PORT}/health/ready`);
  return agenda;
}

/** The first answer for which this holds: the gateway hears of services by messages that nobody else sees. */
async function firstAnswer<T>(
  ask: () => Promise<Answer<T>>,
  holds: (status: number) => boolean,
): Promise<Answer<T>> {
  const deadline = Date.now() + HEARD_WITHIN;
  for (;;) {
    const answer = await ask();
    if (holds(answer.status) || Date.now() > deadline) return answer;
    await delay(20);
  }
}

const answersOf = (person: Person): Promise<Answer<Agenda>> =>
  firstAnswer(
    () => readAgenda(person),
    (status) => status !== 503,
  );

/** What the guide has somebody put into a repository of their own: so many of our files, and one of theirs. */
function buildRepository(): string {
  const folder = mkdtempSync(join(tmpdir(), "taskmesh-elsewhere-"));
  const guide = readFileSync(join(ROOT, "docs", "adding-a-service.md"), "utf8");
  const [, files = ""] = /^Of all this.*?Copy (.*?) from/ms.exec(guide) ?? [];
  mkdirSync(join(folder, "lib"));
  for (const [, name = ""] of files.matchAll(/`(\S+)`/g))
    copyFileSync(join(ROOT, "lib", name), join(folder, "lib", name));
  const [, text = ""] = /^```ts elsewhere\/hello.ts\n(.*?)^```$/ms.exec(guide) ?? [];
  writeFileSync(join(folder, "hello.ts"), text);
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  symlinkSync(join(ROOT, "node_modules"), join(folder, "node_modules"));
  return folder;
}

test("a node in a repository of its own has the guide's files, and knows who calls", async () => {
  const folder = buildRepository();
  const { AMQP_URL = "", MESH_NAMESPACE = "" } = mesh.env;
  const hello = spawn(join(ROOT, "node_modules", ".bin", "node"), ["hello.ts"], {
    cwd: folder,
    env: { PATH: process.env.PATH, AMQP_URL, MESH_NAMESPACE },
    stdio: ["ignore", "ignore", "inherit"],
  });
  const broker = new ServiceBroker({
    namespace: mesh.namespace,
    transporter: new Transporters.AMQP({ url: AMQP_URL }),
    logger: false,
  });
  await broker.start();
  try {
    await broker.waitForServices(["hello", "auth"], HEARD_WITHIN);
    const { passport } = await broker.call<{ passport: string }, object>("auth.verify", {
      token: ada.tokens.accessToken,
    });

    expect(await broker.call("hello.me", {}, { meta: { passport } })).toEqual({ id: ada.user.id });
    await expect(broker.call("hello.me")).rejects.toMatchObject({ type: "invalid_passport" });
  } finally {
    await broker.stop();
    await stopProcess(hello, "SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  }
});

describe("a service that joins a running mesh", () => {
  test("answers 503 at its route before it is there, and 401 to nobody in particular", async () => {
    const { status, headers, body } = await readAgenda(ada);
    expect(status).toBe(503);
    expect(headers.get("content-type")).toBe("application/problem+json");
    expect(body).toMatchObject({ code: "unavailable", status: 503, instance: "/agenda" });

    const anyone = await httpFor(mesh).get("/agenda");
    expect(anyone.status).toBe(401);
    expect(anyone.body).toMatchObject({ code: "unauthenticated" });
  });

  test("is in the gateway's documentation, with the service that the guide makes", async () => {
    for (const path of ["/openapi.json", "/openapi-3.0.json"]) {
      const { body } = await httpFor(mesh).get<{ paths: object; tags: object[] }>(path);
      expect(body.paths).toMatchObject({
        "/tasks": { get: { operationId: "tasks.list" } },
        "/agenda": { get: { operationId: "agenda.today", tags: ["agenda"], summary: expect.any(String) } },
        "/focus": { get: { operationId: "focus.next", parameters: [{ name: "tag", in: "query" }] } },
      });
      expect(body.tags).toEqual(
        expect.arrayContaining(["tasks", "agenda", "focus"].map((name) => expect.objectContaining({ name }))),
      );
    }
  });

  test("does not make the gateway unready while it is missing", async () => {
    expect((await httpFor(mesh).get("/health/ready")).status).toBe(200);
  });

  describe("once it has started from its own folder", () => {
    let agenda: ChildProcess;

    beforeAll(async () => {
      agenda = await startAgenda();
    });
    afterAll(() => stopProcess(agenda));

    test("answers two people with their own tasks only", async () => {
      const [date] = new Date().toISOString().split("T");
      await buildTask(ada, { title: "Ada's late one", due: "2020-01-01", priority: "high" });
      await buildTask(ada, { title: "Ada's today", due: date });
      await buildTask(ada, { title: "Ada's finished one", due: "2020-01-01", status: "done" });
      await buildTask(ada, { title: "Ada's some day" });
      const bobs = await buildTask(bob, { title: "Bob's late one", due: "2020-01-01" });

      const { status, headers, body } = await answersOf(ada);
      expect(status).toBe(200);
      expect(headers.get("cache-control")).toBe("no-store");
      expect(titles(body)).toEqual({ overdue: ["Ada's late one"], today: ["Ada's today"] });
      expect((await readAgenda(bob)).body).toEqual({
        overdue: [{ id: bobs.id, title: "Bob's late one", priority: "none", due: "2020-01-01" }],
        today: [],
      });
    });

    test("refuses a call without a passport, whoever it claims to be for", async () => {
      const broker = new ServiceBroker({
        namespace: mesh.namespace,
        transporter: new Transporters.AMQP({ url: mesh.env.AMQP_URL ?? "" }),
        logger: false,
      });
      await broker.start();
      try {
        await broker.waitForServices("agenda", HEARD_WITHIN);
        const nodes = broker.registry.getServiceList({}).filter(({ name }) => name === "agenda");
        expect(nodes).toHaveLength(1);
        for (const meta of [
          {},
          { user: ada.user, identity: { userId: ada.user.id } },
          { passport: "x.y.z" },
        ]) {
          await expect(broker.call("agenda.today", {}, { meta })).rejects.toMatchObject({
            code: 401,
            type: "invalid_passport",
            // By the agenda itself, and not only by the tasks service that it calls.
            nodeID: nodes[0]?.nodeID,
          });
        }
      } finally {
        await broker.stop();
      }
    });

    test("has HEAD and 405 like every other route", async () => {
      await answersOf(ada);
      expect((await ada.http.send("HEAD", "/agenda")).status).toBe(200);
      const refused = await ada.http.delete("/agenda");
      expect(refused.status).toBe(405);
      expect(refused.headers.get("allow")).toBe("GET, HEAD, OPTIONS");
    });

    test("answers 503 again when it has left", async () => {
      await answersOf(ada);
      await stopProcess(agenda);
      const left = await firstAnswer(
        () => readAgenda(ada),
        (status) => status === 503,
      );
      expect(left.status).toBe(503);
    });
  });
});

const titles = ({ overdue, today }: Agenda) => ({
  overdue: overdue.map(({ title }) => title),
  today: today.map(({ title }) => title),
});

describe("the service that docs/adding-a-service.md makes", () => {
  let focus: Awaited<ReturnType<typeof start>>;
  let cleo: Person;

  beforeAll(async () => {
    focus = await start(
      "focus",
      ["scripts/service.ts", join(checkout, "focus", "focus.service.ts")],
      mesh.env,
    );
    await ready(focus.child, `${focus.opsUrl}/health/ready`);
    cleo = await buildPerson(mesh);
    await firstAnswer(
      () => cleo.http.get("/focus"),
      (status) => status !== 503,
    );
  });
  afterAll(() => stopProcess(focus.child));

  test("answers with what is overdue, before what matters most", async () => {
    expect((await cleo.http.get("/focus")).status).toBe(404);
    await buildTask(cleo, { title: "Important", priority: "urgent" });
    await buildTask(cleo, { title: "Minor" });
    expect((await cleo.http.get("/focus")).body).toMatchObject({ title: "Important" });
    await buildTask(cleo, { title: "Late", due: "2020-01-01", tags: ["home"] });
    expect((await cleo.http.get("/focus")).body).toMatchObject({ title: "Late", due: "2020-01-01" });
    expect((await bob.http.get("/focus?tag=home")).status).toBe(404);
  });

  test("refuses what the guide says it refuses", async () => {
    expect((await httpFor(mesh).get("/focus")).status).toBe(401);
    const misspelt = await cleo.http.get("/focus?tga=home");
    expect(misspelt.status).toBe(422);
    expect(misspelt.body).toMatchObject({ errors: [{ parameter: "tga", code: "unknown_parameter" }] });
  });
});
