import jwt from "jsonwebtoken";
import { openBus, startRogue, type TestNode } from "./support/broker.ts";
import { buildPerson, buildTask, type Person } from "./support/client.ts";
import { query } from "./support/database.ts";
import { flipBit, forge, newKeyPair } from "./support/forged-tokens.ts";
import { signingKeyOf } from "./support/signing-key.ts";
import { systems } from "./support/systems.ts";

const [, mesh] = systems.find(([mode]) => mode === "mesh") ?? [];
if (!mesh) throw new Error("There is no mesh to join.");

let rogue: TestNode;
let bus: Awaited<ReturnType<typeof openBus>>;
let ada: Person;
let taskId: string;
let passport: string;

beforeAll(async () => {
  [rogue, bus, ada] = await Promise.all([
    startRogue(mesh),
    openBus({ namespace: mesh.namespace, url: mesh.env.AMQP_URL }),
    buildPerson(mesh),
  ]);
  await rogue.broker.waitForServices(["auth", "tasks", "api"]);
  taskId = (await buildTask(ada, { title: "Secret plans" })).id;
  const verified = await rogue.broker.call<{ passport: string }, object>("auth.verify", {
    token: ada.tokens.accessToken,
  });
  passport = verified.passport;
});
afterAll(() => Promise.all([rogue.stop(), bus.close()]));

/** The code that a call is refused with, or its result. */
const outcome = (action: string, params: object, meta: object): Promise<unknown> =>
  rogue.broker
    .call(action, params, { meta })
    .catch((error: unknown) => (error instanceof Error && "type" in error ? error.type : error));

/** The nodes of the mesh itself: other tests' nodes come and go on it. */
const nodeIds = (): string[] => ["auth", "tasks", "api"].map(nodeOf);

const nodeOf = (service: string): string => {
  const found = rogue.broker.registry.getServiceList({}).find(({ name }) => name === service);
  if (!found?.nodeID) throw new Error(`${service} is not there.`);
  return found.nodeID;
};

/** Everything of Ada's that an attacker might have changed. */
const rowsOfAda = async () => [
  await query(mesh.databaseUrl, "SELECT * FROM tasks.tasks WHERE user_id = $1", [ada.user.id]),
  await query(mesh.databaseUrl, "SELECT name, time_zone, role FROM auth.users WHERE id = $1", [ada.user.id]),
  await query(mesh.databaseUrl, "SELECT id, ended_at FROM auth.sessions WHERE user_id = $1", [ada.user.id]),
];

/** Every action that is somebody's, with params that would do harm where that takes any. */
function guardedCalls(): [string, object][] {
  const harmful: Record<string, object> = {
    "tasks.get": { id: taskId },
    "tasks.create": { title: "Planted" },
    "tasks.update": { id: taskId, patch: { title: "Changed" } },
    "tasks.delete": { id: taskId },
    "auth.updateMe": { patch: { name: "Eve" } },
    "auth.deleteMe": { password: ada.password },
  };
  const actions: { name: string; action?: object }[] = rogue.broker.registry.getActionList({});
  const guarded = actions.filter(({ action }) => Reflect.get(action ?? {}, "access") !== "open");
  return guarded.map(({ name }) => [name, harmful[name] ?? {}]);
}

/** A passport like Ada's but for these changes, signed with the mesh's own key unless another one is given. */
const passportWith = async (
  changes: { header?: object; claims?: object },
  signedBy?: ReturnType<typeof newKeyPair>,
): Promise<string> => {
  const { header = {}, payload = {} } = jwt.decode(passport, { complete: true }) ?? {};
  const claims = typeof payload === "object" ? payload : {};
  const { privateKey } = signedBy ?? (await signingKeyOf(mesh));
  return forge({ ...header, ...changes.header }, { ...claims, ...changes.claims }, privateKey);
};

describe("a node with the broker's credentials", () => {
  it("line 29: finds no action open but those that need no person or check their own credentials", () => {
    const guarded = guardedCalls().map(([name]) => name);
    const actions: { name: string }[] = rogue.broker.registry.getActionList({});
    const open = actions.map(({ name }) => name).filter((name) => !guarded.includes(name));

    expect(guarded).toEqual(
      expect.arrayContaining(["tasks.list", "tasks.eraseAll", "auth.me", "auth.logout"]),
    );
    expect(open.toSorted()).toEqual([
      "api.ready",
      "auth.clientPassport",
      "auth.forgotPassword",
      "auth.jwks",
      "auth.login",
      "auth.ready",
      "auth.refresh",
      "auth.register",
      "auth.resetPassword",
      "auth.verify",
      "auth.verifyEmail",
      "tasks.ready",
    ]);
  });

  it("is served with a passport that auth signed, or one signed alike", async () => {
    expect(await outcome("tasks.get", { id: taskId }, { passport })).toMatchObject({ title: "Secret plans" });
    const resigned = await passportWith({});
    expect(resigned).not.toBe(passport);
    expect(await outcome("tasks.get", { id: taskId }, { passport: resigned })).toMatchObject({ id: taskId });
  });

  it.each<[string, () => Promise<object>]>([
    ["no passport", async () => ({})],
    [
      "a user of its own invention",
      async () => ({ user: { id: ada.user.id, userId: ada.user.id, role: "admin" } }),
    ],
    [
      "an identity of its own invention",
      async () => ({ identity: { userId: ada.user.id }, $locals: { identity: {} } }),
    ],
    [
      "an expired passport",
      async () => ({ passport: await passportWith({ claims: { exp: nowInSeconds() - 1 } }) }),
    ],
    [
      "an altered passport",
      async () => ({ passport: flipBit(passport, 8 * Math.floor(passport.length / 2)) }),
    ],
    ["a passport of another key", async () => ({ passport: await passportWith({}, newKeyPair()) })],
    [
      "a passport of another key with another id",
      async () => ({ passport: await passportWith({ header: { kid: "mine" } }, newKeyPair()) }),
    ],
    [
      "a passport of another mesh",
      async () => ({ passport: await passportWith({ claims: { aud: "elsewhere/bus" } }) }),
    ],
    [
      "a passport of another type",
      async () => ({ passport: await passportWith({ header: { typ: "JWT" } }) }),
    ],
    ["an access token for a passport", async () => ({ passport: ada.tokens.accessToken })],
    ["a refresh token for a passport", async () => ({ passport: ada.tokens.refreshToken })],
  ])("line 29: is refused with %s, and changes nothing", async (_, forgedMeta) => {
    const meta = await forgedMeta();
    const before = await rowsOfAda();
    const outcomes = [];
    for (const [action, params] of guardedCalls())
      outcomes.push([action, await outcome(action, params, meta)]);

    expect(outcomes).toEqual(guardedCalls().map(([action]) => [action, "invalid_passport"]));
    expect(await rowsOfAda()).toEqual(before);
  });

  it("line 29: is refused with a request made by hand, also in the name of the node that it asks", async () => {
    const before = await rowsOfAda();
    for (const [action, params] of guardedCalls()) {
      const node = nodeOf(action.split(".")[0] ?? "");
      bus.post(node, { action, params, meta: { user: { id: ada.user.id } }, sender: node });
      const answer = await bus.request(node, { action, params, meta: { user: { id: ada.user.id } } });
      expect([action, answer.success, answer.error?.type]).toEqual([action, false, "invalid_passport"]);
    }
    expect(await rowsOfAda()).toEqual(before);
  });

  it("line 14: gets nothing for a passport where an access token belongs", async () => {
    expect(await outcome("auth.verify", { token: passport }, {})).toBe("invalid_token");
    const answer = await fetch(`${mesh.baseUrl}/auth/me`, {
      headers: { Authorization: `Bearer ${passport}` },
    });
    expect(answer.status).toBe(401);
  });

  it.each(["list", "options", "services", "actions", "events", "health", "metrics"])(
    "line 28: does not reach $node.%s, neither through Moleculer nor by hand",
    async (name) => {
      for (const node of nodeIds()) {
        const call = rogue.broker.call(`$node.${name}`, {}, { nodeID: node });
        await expect(call).rejects.toMatchObject({ type: "SERVICE_NOT_FOUND" });
        const answer = await bus.request(node, { action: `$node.${name}` });
        expect(answer).toMatchObject({ success: false, error: { type: "SERVICE_NOT_FOUND" } });
      }
    },
  );

  it.each(["rest", "listAliases", "addRoute", "removeRoute"])(
    "line 29: does not reach the gateway's %s, neither through Moleculer nor by hand",
    async (name) => {
      expect(await outcome(`api.${name}`, {}, {})).toBe("SERVICE_NOT_FOUND");
      const params = {
        route: { path: "/evil", aliases: { "GET /": "$node.options" } },
        req: { url: "/" },
        res: {},
      };
      const answer = await bus.request(nodeOf("api"), { action: `api.${name}`, params });
      expect(answer).toMatchObject({
        success: false,
        error: { code: 404, type: expect.stringMatching(/not_found/i) },
      });
    },
  );

  it("line 29: can't make the gateway serve a request that never came over HTTP", async () => {
    const api = nodeOf("api");
    const requests = [undefined, {}, { url: "/tasks", method: "GET", headers: {}, headersDistinct: {} }];
    for (const req of requests) bus.post(api, { action: "api.rest", params: { req, res: {} }, sender: api });
    // Queues keep their order: once this is answered, the others were taken.
    await bus.request(api, { action: "api.ready" });

    expect((await fetch(`${mesh.baseUrl}/health/live`)).status).toBe(200);
    expect(nodeOf("api")).toBe(api);
  });

  it("finds no queue that all nodes of a service share", async () => {
    const before = await rowsOfAda();
    bus.send("B.tasks.eraseAll", "{}");
    const shared = rogue.received.filter((packet) => packet.includes(".REQB."));
    expect([shared, await rowsOfAda()]).toEqual([[], before]);
  });

  it("line 29: hears no secret and no setting of another node, whatever it listens to", async () => {
    // Asks each node for everything that it tells about itself, and waits until they have.
    const tellers = (packets: string[]) =>
      packets
        .filter((packet) => packet.startsWith("INFO"))
        .map((packet) => JSON.parse(packet.slice(5)).sender);
    const before = rogue.received.length;
    await rogue.broker.registry.discoverer.discoverAllNodes();
    while (nodeIds().some((id) => !tellers(rogue.received.slice(before)).includes(id))) {
      await outcome("auth.jwks", {}, {});
    }
    const services = rogue.broker.registry.getServiceList({ withActions: true, withEvents: true });
    const heard = rogue.received.join("\n") + JSON.stringify(services);

    expect(new Set(nodeIds()).size).toBe(3);
    for (const secret of [mesh.env.AUTH_SECRET, mesh.databaseUrl, mesh.env.AMQP_URL, mesh.env.DATA_DIR]) {
      expect(heard).not.toContain(secret);
    }
    expect(heard).not.toMatch(/postgres(ql)?:\/\/|amqps?:\/\/|guest:guest|sealed|PRIVATE KEY|\$2[aby]\$/);
    expect(heard).not.toContain(new URL(mesh.databaseUrl).pathname.slice(1));
    for (const { name, settings } of services) expect([name, settings]).toEqual([name, expect.any(Object)]);
  });
});

const nowInSeconds = (): number => Math.floor(Date.now() / 1000);
