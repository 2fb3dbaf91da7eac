import { randomUUID } from "node:crypto";
import { newNamespace, nodesOf, openBus, startRogue, type TestNode } from "./support/broker.ts";
import { buildEmail, PASSWORD } from "./support/client.ts";
import { createMigratedDatabase, type MigratedDatabase } from "./support/migrated-database.ts";
import { ready, start, stopProcess } from "./support/system.ts";
import { systems } from "./support/systems.ts";

/** Two processes of auth and nothing else, on a mesh and a database of their own. */
const namespace = newNamespace();
let db: MigratedDatabase;
let replicas: Awaited<ReturnType<typeof start>>[];
let caller: TestNode;
/** Their nodes. */
let first: string;
let second: string;
let bus: Awaited<ReturnType<typeof openBus>>;

beforeAll(async () => {
  const [, mesh] = systems.find(([mode]) => mode === "mesh") ?? [];
  if (!mesh) throw new Error("There is no mesh to take the settings from.");
  db = await createMigratedDatabase();
  const env = { ...mesh.env, DATABASE_URL: db.url, MESH_NAMESPACE: namespace };
  replicas = await Promise.all([1, 2].map((n) => start(`auth ${n}`, ["scripts/service.ts", "auth"], env)));
  [caller, bus] = await Promise.all([startRogue({ namespace, env }), openBus({ namespace })]);
  await Promise.all(replicas.map(({ child, opsUrl }) => ready(child, `${opsUrl}/health/ready`)));
  const [one = "", other = ""] = await nodesOf(caller.broker, "auth", 2);
  first = one;
  second = other;
});
afterAll(async () => {
  await Promise.all([caller.stop(), bus.close(), ...replicas.map(({ child }) => stopProcess(child))]);
  await db.drop();
});

const callOn = <T>(nodeID: string, action: string, params: object, meta: object = {}): Promise<T> =>
  caller.broker.call<T, object>(`auth.${action}`, params, { nodeID, meta });

interface SignedIn {
  accessToken: string;
  refreshToken: string;
}

describe("two replicas of auth", () => {
  it("accept each other's tokens: they have one key", async () => {
    const { tokens, passports } = await signInOn(first, second);

    expect(passports[0].split(".")[0]).toBe(passports[1].split(".")[0]);
    expect(await callOn<SignedIn>(second, "refresh", { refreshToken: tokens.refreshToken })).toMatchObject({
      accessToken: expect.any(String),
    });
  });

  it("line 15: both feel at once that somebody signed out on one of them", async () => {
    for (const [here, there] of [
      [first, second],
      [second, first],
    ] as const) {
      const { tokens, passports } = await signInOn(here, there);
      await callOn(here, "logout", {}, { passport: passports[0] });

      for (const node of [there, here]) {
        const verification = callOn(node, "verify", { token: tokens.accessToken });
        await expect(verification).rejects.toMatchObject({ type: "invalid_token" });
        const refresh = callOn(node, "refresh", { refreshToken: tokens.refreshToken });
        await expect(refresh).rejects.toMatchObject({ type: "invalid_refresh_token" });
      }
    }
  });

  it("register somebody once, when the gateway asks the other one because the first did not answer", async () => {
    const account = { email: buildEmail(), password: PASSWORD };
    const meta = { operationId: randomUUID() };
    const registered = await callOn<{ id: string }>(first, "register", account, meta);
    expect(await callOn(second, "register", account, meta)).toEqual(registered);
    const again = callOn(second, "register", account, { operationId: randomUUID() });
    await expect(again).rejects.toMatchObject({ type: "email_taken" });
  });

  it("line 18: rotate a refresh token once, however many present it to both at once", async () => {
    const { tokens } = await signInOn(first, second);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, n) =>
        callOn<SignedIn>(n % 2 ? first : second, "refresh", { refreshToken: tokens.refreshToken }),
      ),
    );
    expect(new Set(answers.map(({ refreshToken }) => refreshToken)).size).toBe(1);
  });
});

/** Somebody new, signed in on one replica and verified on both, so that each may remember them. */
async function signInOn(here: string, there: string) {
  const credentials = { email: buildEmail(), password: PASSWORD };
  await callOn(here, "register", credentials);
  const tokens = await callOn<SignedIn>(here, "login", credentials);
  const verify = (node: string) =>
    callOn<{ passport: string }>(node, "verify", { token: tokens.accessToken });
  const [one, other] = [await verify(here), await verify(there)];
  return { tokens, passports: [one.passport, other.passport] as const };
}

describe("a node that is sent a request whose answer can go nowhere", () => {
  const request = { ver: "5", id: "1", action: "auth.ready", params: {}, meta: {}, level: 1, requestID: "1" };

  it.each([
    ["names nobody", {}],
    ["names something that is no text", { sender: { a: 1 } }],
  ])("goes on serving, within the ten seconds of a new connection: the sender %s", async (_, sender) => {
    const node = first;
    bus.send(node, JSON.stringify({ ...request, ...sender }));
    await bus.request(node, { action: "auth.ready" }, 500).catch(() => {});

    // Either it took no harm, or it noticed and connected again.
    expect(await bus.request(node, { action: "auth.ready" }, 10_000)).toMatchObject({ success: true });
  });
});
