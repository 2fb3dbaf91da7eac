import { randomBytes, randomUUID } from "node:crypto";
import { rmSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { type Channel, connect } from "amqplib";
import { type ActionSchema, type Context, ServiceBroker, type ServiceSchema } from "moleculer";
import { AmqpTransporter } from "../lib/amqp-transporter.ts";
import { guardBus } from "../lib/bus-guard.ts";
import { busDefinitions, busUser, hashBusPassword, nodePrefix } from "../lib/bus-users.ts";
import { passportGuard } from "../lib/guard.ts";
import { joinPackets } from "../lib/packet-batch.ts";
import { runOwned } from "../scripts/services/owned-process.ts";
import { ownRabbitMq } from "../scripts/services/rabbitmq.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import { openFirst, type TestServer } from "../scripts/services/source.ts";
import { newNamespace } from "./support/broker.ts";
import { buildPerson, buildTask, type Person } from "./support/client.ts";
import { openEvents, within } from "./support/events.ts";
import { freePort, type RunningSystem, ready, start, startMesh, stopProcess } from "./support/system.ts";

const namespace = newNamespace();
const directory = makeScratchFolder("bus-users");
const passwords: Record<string, string> = Object.fromEntries(
  ["auth", "tasks", "api", "agenda", "probe"].map((name) => [name, randomBytes(16).toString("hex")]),
);

let rabbit: TestServer;
let mesh: RunningSystem;
let ada: Person;

/** RabbitMQ's address for the user of a service. */
const urlOf = (service: string): string => {
  const url = new URL(rabbit.url);
  Object.assign(url, { username: busUser(namespace, service), password: passwords[service] });
  return url.href;
};

/** What a process is given so that it is on the bus as this service. */
const settingsOf = (service: string) => ({ AMQP_URL: urlOf(service), BUS_USERS: "per-service" });

beforeAll(async () => {
  const hashes = Object.entries(passwords).map(([name, password]) => [name, hashBusPassword(password)]);
  const users = {
    credentials: `${busUser(namespace, "probe")}:${passwords.probe}`,
    definitions: JSON.stringify(busDefinitions(namespace, Object.fromEntries(hashes))),
  };
  const quiet = { log: () => {}, signal: new AbortController().signal };
  rabbit = await openFirst("RabbitMQ", ownRabbitMq({ directory, ...quiet }, users), "", quiet);
  mesh = await startMesh(
    { MESH_NAMESPACE: namespace, EXTRA_ROUTES: "examples/agenda/routes.ts" },
    { auth: settingsOf("auth"), tasks: settingsOf("tasks"), api: settingsOf("api") },
  );
  ada = await buildPerson(mesh);
}, 300_000);

afterAll(async () => {
  await mesh?.stop();
  await rabbit?.release();
  rmSync(directory, { recursive: true, force: true });
});

/** A node in this process with the rights of one service. */
async function join(
  service: string,
  schemas: ServiceSchema[],
  { users = "per-service", nodeId }: { users?: "shared" | "per-service"; nodeId?: string } = {},
) {
  const broker = new ServiceBroker({
    namespace,
    nodeID: nodeId ?? `${nodePrefix(service)}test-${randomBytes(3).toString("hex")}`,
    transporter: new AmqpTransporter({ url: urlOf(service), prefetch: 100 }, busUser(namespace, service)),
    internalServices: false,
    requestTimeout: 4_000,
    logger: false,
    skipProcessEventRegistration: true,
    created(created: ServiceBroker) {
      created.middlewares.add(passportGuard);
      guardBus(created, users);
    },
  });
  for (const schema of schemas) broker.createService(schema);
  await broker.start();
  return {
    broker,
    async stop() {
      broker.registry.discoverer.stopHeartbeatTimers();
      await broker.getCpuUsage();
      await broker.stop();
    },
  };
}

/** Says that it is auth, and remembers all that it is asked. */
function impostor() {
  const asked: unknown[] = [];
  const take = {
    access: "open",
    handler(ctx: Context) {
      asked.push([ctx.action?.name, ctx.params]);
      return {};
    },
  };
  const service: ServiceSchema = {
    name: "auth",
    actions: { verify: take, login: take, register: take, refresh: take, jwks: take },
  };
  return { asked, service };
}

describe("line 30: a mesh whose services have a RabbitMQ user each", () => {
  test("serves the whole of a day's work", async () => {
    const stream = await openEvents(mesh, { token: ada.tokens.accessToken });
    const task = await buildTask(ada, { title: "Buy oat milk" });
    const list = await ada.http.get<{ items: { id: string }[] }>("/tasks");
    expect(list.body.items.map(({ id }) => id)).toEqual([task.id]);
    expect((await ada.http.patch(`/tasks/${task.id}`, { status: "done" })).status).toBe(200);
    expect((await ada.http.delete(`/tasks/${task.id}`)).status).toBe(204);
    await within(10_000, stream.take(3));
    expect((await ada.http.post("/auth/logout")).status).toBe(204);
    await within(2_000, stream.ended);
    expect((await ada.http.get("/tasks")).status).toBe(401);
    ada = await buildPerson(mesh);
  });

  test("takes in a service that came later, with the same rights in its own name", async () => {
    const env = { ...mesh.env, ...settingsOf("agenda") };
    const agenda = await start("agenda", ["scripts/service.ts", "examples/agenda/agenda.service.ts"], env);
    await ready(agenda.child, `${agenda.opsUrl}/health/ready`);
    await buildTask(ada, { title: "Late", due: "2020-01-01" });
    let answer = await ada.http.get("/agenda");
    while (answer.status === 503) {
      await delay(20);
      answer = await ada.http.get("/agenda");
    }

    expect(answer).toMatchObject({ status: 200, body: { overdue: [{ title: "Late" }] } });
    await stopProcess(agenda.child);
  });

  test.each(["tasks", "examples/agenda/agenda.service.ts"])(
    "refuses to run %s by the user of auth, where nobody would ask it anything",
    async (service) => {
      const { code, output } = await runOwned([process.execPath, "scripts/service.ts", service], {
        env: { ...mesh.env, ...settingsOf("auth"), OPS_PORT: String(await freePort()) },
      });
      expect([code, output]).toEqual([
        1,
        expect.stringMatching(/could not start: AMQP_URL has the RabbitMQ user of auth/),
      ]);
      expect(output).not.toMatch(/^ {4}at /m);
    },
  );

  test("lets nobody in as guest, nor with another's password", async () => {
    const refused = async (username: string, password: string) => {
      const url = Object.assign(new URL(rabbit.url), { username, password });
      await expect(connect(url.href)).rejects.toThrow(/ACCESS[_-]REFUSED|403/);
    };
    await refused("guest", "guest");
    await refused(busUser(namespace, "auth"), passwords.tasks ?? "");
    await refused(busUser(namespace, "auth"), "");
  });
});

describe("line 29: a node with the rights of tasks", () => {
  /** What RabbitMQ says to this. */
  async function attempt(act: (channel: Channel) => Promise<unknown> | unknown): Promise<string> {
    const connection = await connect(urlOf("tasks"));
    const channel = await connection.createChannel();
    const failed = new Promise<string>((resolve) => channel.on("error", ({ message }) => resolve(message)));
    const done = Promise.resolve(act(channel)).then(
      () => "done",
      ({ message }) => message,
    );
    const outcome = await Promise.race([failed, done]);
    await connection.close();
    return outcome;
  }

  const authNode = async (): Promise<string> => {
    const node = await join("probe", []);
    await node.broker.waitForServices("auth");
    const found = node.broker.registry.getServiceList({}).find(({ name }) => name === "auth");
    await node.stop();
    return found?.nodeID ?? "";
  };

  test("can't read, bind, empty or delete auth's queues, nor make one in its name", async () => {
    const node = await authNode();
    expect(node).toMatch(/^auth@/);
    const queue = `MOL-${namespace}.REQ.${node}`;
    const answers = `MOL-${namespace}.RES.${node}`;
    const info = `MOL-${namespace}.INFO`;
    const acts: ((channel: Channel) => unknown)[] = [
      (channel) => channel.consume(queue, () => {}),
      (channel) => channel.get(queue),
      (channel) => channel.consume(answers, () => {}),
      (channel) => channel.purgeQueue(queue),
      (channel) => channel.deleteQueue(queue),
      (channel) => channel.bindQueue(queue, info, ""),
      (channel) => channel.assertQueue(`MOL-${namespace}.REQ.auth@mine`),
      (channel) => channel.assertQueue(`MOL-${namespace}.REQB.auth.verify`),
      (channel) => channel.assertQueue("anything"),
      (channel) => channel.assertQueue("", { exclusive: true }),
      (channel) => channel.assertExchange("anything", "fanout"),
      (channel) => channel.deleteExchange(info),
      (channel) => channel.bindQueue(`MOL-${namespace}.REQ.tasks@mine`, "amq.rabbitmq.trace", "#"),
    ];
    for (const act of acts)
      expect([act.toString(), await attempt(act)]).toEqual([
        act.toString(),
        expect.stringMatching(/ACCESS[_-]REFUSED/),
      ]);
    expect((await ada.http.get("/auth/me")).status).toBe(200);
  });

  test("can't sign a message with another user's name", async () => {
    const outcome = await attempt(async (channel) => {
      channel.sendToQueue(`MOL-${namespace}.REQ.${await authNode()}`, Buffer.from("{}"), {
        userId: busUser(namespace, "auth"),
      });
      await channel.checkExchange(`MOL-${namespace}.INFO`);
    });
    expect(outcome).toMatch(/PRECONDITION[_-]FAILED/);
  });

  test("gets no call and no token when it announces auth", async () => {
    const { asked, service } = impostor();
    const node = await join("tasks", [service], { nodeId: "tasks@impostor" });
    await node.broker.waitForServices(["api", "tasks"]);
    for (let round = 0; round < 20; round += 1) {
      const [me, signedIn] = await Promise.all([
        ada.http.get("/auth/me"),
        ada.http.post("/auth/login", { email: ada.email, password: ada.password }),
      ]);
      expect([me.status, signedIn.status]).toEqual([200, 200]);
    }
    await node.stop();
    expect(asked).toEqual([]);
  });

  test.each([
    ["per-service", 0],
    ["shared", 10],
  ] as const)("with users that are %s, gets %i of 20 calls to auth", async (users, share) => {
    const { asked, service } = impostor();
    const node = await join("tasks", [service], { nodeId: `tasks@impostor-${users}` });
    const caller = await join("probe", [], { users });
    await caller.broker.waitForServices("auth");
    if (users === "shared") await until(() => nodesOf(caller.broker, "auth") === 2);
    for (let call = 0; call < 20; call += 1) await caller.broker.call("auth.jwks", {});

    expect(asked).toHaveLength(share);
    await Promise.all([node.stop(), caller.stop()]);
  });

  test("can't use the passport of somebody who calls it to manage their account", async () => {
    const node = await join("tasks", []);
    await node.broker.waitForServices(["auth", "tasks"]);
    const { accessToken: token } = ada.tokens;
    const meta = await node.broker.call<{ passport: string }, object>("auth.verify", { token });
    const outcome = (action: string, params: object) =>
      node.broker.call(action, params, { meta: { passport: meta.passport } }).catch(({ type }) => type);
    const attempts: [string, object][] = [
      ["auth.me", {}],
      ["auth.createToken", { name: "Stays", scopes: ["account"] }],
      ["auth.listSessions", {}],
      ["auth.endOtherSessions", {}],
      ["auth.changePassword", { currentPassword: ada.password, newPassword: "another good pass phrase" }],
      ["auth.listUsers", {}],
      ["auth.changeUser", { id: ada.user.id, patch: { role: "admin" } }],
    ];
    for (const [action, params] of attempts) {
      expect([action, await outcome(action, params)]).toEqual([action, "forbidden"]);
    }
    expect(await outcome("tasks.list", {})).toMatchObject({ items: expect.any(Array) });
    expect((await ada.http.get("/auth/tokens")).body).toMatchObject({ items: [] });
    await node.stop();
  });

  test("can't speak in the name of another node, that of the one it asks least of all", async () => {
    const ran: string[] = [];
    const open = { access: "open", handler: () => ran.push("open") };
    const hidden: ActionSchema = { visibility: "private", handler: () => ran.push("private") };
    const probe: ServiceSchema = { name: "probe", actions: { open, private: hidden } };
    const node = await join("probe", [probe]);
    const { nodeID } = node.broker;
    await node.broker.waitForServices("auth");
    const connection = await connect(urlOf("tasks"));
    const channel = await connection.createConfirmChannel();
    const queue = `MOL-${namespace}.REQ.${nodeID}`;
    const contentOf = (packet: object): Buffer =>
      Buffer.from(JSON.stringify({ ver: "5", id: randomUUID(), meta: {}, ...packet }));
    const by = (userId: string | undefined) => (userId === undefined ? {} : { userId });
    const post = (cmd: string, packet: object, userId: string | undefined) => {
      if (cmd === "REQ") channel.sendToQueue(queue, contentOf(packet), by(userId));
      else channel.publish(`MOL-${namespace}.${cmd}`, "", contentOf(packet), by(userId));
    };
    const authId = await authNode();
    for (const userId of [busUser(namespace, "tasks"), undefined]) {
      for (const sender of [authId, nodeID]) {
        post("DISCONNECT", { sender }, userId);
        post("INFO", { sender, services: [], instanceID: "mine" }, userId);
      }
    }
    await channel.waitForConfirms();
    for (const userId of [busUser(namespace, "tasks"), undefined]) {
      for (const sender of [nodeID, "probe@other", "auth@other", "tasks", ""]) {
        const requests = ["probe.private", "probe.open"].map((action) => ({ action, sender }));
        for (const request of requests) post("REQ", request, userId);
        const batch = joinPackets(requests.map((request) => contentOf(request)));
        channel.sendToQueue(queue, batch, { ...by(userId), type: "taskmesh.batch" });
      }
    }
    post("REQ", { action: "probe.open", sender: "tasks@hand" }, busUser(namespace, "tasks"));
    await channel.waitForConfirms();
    await until(() => ran.length > 0);

    expect(ran).toEqual(["open"]);
    expect(nodesOf(node.broker, "auth")).toBe(1);
    expect((await ada.http.get("/auth/me")).status).toBe(200);
    await connection.close();
    await node.stop();
  });
});

const nodesOf = (broker: ServiceBroker, service: string): number =>
  broker.registry.getServiceList({ onlyAvailable: true }).filter(({ name }) => name === service).length;

/** Looks again and again; the test's own time limit ends it. */
async function until(holds: () => boolean): Promise<void> {
  while (!holds()) await delay(20);
}
