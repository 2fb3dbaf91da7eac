import { type Context, ServiceBroker } from "moleculer";
import { forge, newKeyPair } from "../tests/support/forged-tokens.ts";
import { passportGuard } from "./guard.ts";
import { PASSPORT_TYPE } from "./passport.ts";

const pair = newKeyPair();
const broker = new ServiceBroker({
  namespace: "mesh",
  logger: false,
  created: ({ middlewares }) => middlewares.add(passportGuard),
});
const who = (ctx: Context) => ctx.locals.identity ?? {};
/** What actions may declare, and one that declares nothing. */
const declared = {
  nothing: {},
  tasksRead: { scope: "tasks:read" },
  account: { scope: "account" },
  unknownScope: { scope: "everything" },
  admins: { scope: "account", role: "admin" },
  services: { scope: "tasks:read", role: "service" },
  mailer: { client: "mailer" },
  open: { access: "open" },
  misspelt: { access: "Open" },
};
broker.createService({
  name: "probe",
  actions: Object.fromEntries(
    Object.entries(declared).map(([name, declaration]) => [name, { ...declaration, handler: who }]),
  ),
});
broker.createService({
  name: "auth",
  actions: Object.fromEntries([
    [
      "jwks",
      {
        access: "open",
        handler: () => ({ keys: [{ ...pair.publicKey.export({ format: "jwk" }), kid: "key-1" }] }),
      },
    ],
  ]),
});
beforeAll(() => broker.start());
afterAll(() => broker.stop());

const ALL = "tasks:read tasks:write account";
const person = { sub: "ada", role: "user", sid: "session-1", scope: ALL };

function passportOf(claims: object): string {
  const exp = Math.floor(Date.now() / 1000) + 60;
  const header = { alg: "ES256", typ: PASSPORT_TYPE, kid: "key-1" };
  return forge(header, { aud: "mesh/bus", tz: "UTC", exp, ...claims }, pair.privateKey);
}

/** The actions that the bearer of these claims may call; all others are refused, by one of these codes. */
async function reachOf(claims: object, codes = /^(forbidden|insufficient_scope)$/): Promise<string[]> {
  const meta = { passport: passportOf(claims) };
  const reached: string[] = [];
  for (const name of Object.keys(declared)) {
    const refusal = await broker.call(`probe.${name}`, {}, { meta }).catch(({ type }) => String(type));
    if (typeof refusal === "string") expect(refusal).toMatch(codes);
    else reached.push(name);
  }
  return reached;
}

describe("the guard", () => {
  it("lets nobody without a passport in but where an action says that it is open", async () => {
    expect(await reachOf({ ...person, exp: 1 }, /^invalid_passport$/)).toEqual(["open"]);
    await expect(broker.call("probe.nothing")).rejects.toMatchObject({ code: 401, type: "invalid_passport" });
  });

  it.each<[string, object, (keyof typeof declared)[]]>([
    ["somebody who signed in", person, ["nothing", "tasksRead", "account", "open", "misspelt"]],
    [
      "an administrator who signed in",
      { ...person, role: "admin" },
      ["nothing", "tasksRead", "account", "admins", "open", "misspelt"],
    ],
    ["an API token for reading", { ...person, sid: undefined, scope: "tasks:read" }, ["tasksRead", "open"]],
    [
      "an API token of an administrator",
      { ...person, role: "admin", sid: undefined },
      ["tasksRead", "account", "open"],
    ],
    ["somebody without any scope or session", { ...person, sid: undefined, scope: "" }, ["open"]],
    [
      "a service that acts for somebody",
      { ...person, sid: undefined, act: { sub: "mailer" } },
      ["tasksRead", "account", "mailer", "open"],
    ],
    [
      "a service that acts for an administrator, with a session",
      { ...person, role: "admin", act: { sub: "other" } },
      ["tasksRead", "account", "open"],
    ],
    [
      "a service on its own",
      { sub: "reader", role: "service", scope: "tasks:read" },
      ["tasksRead", "services", "open"],
    ],
  ])("lets %s reach what is theirs and nothing else", async (_, claims, reach) => {
    expect(await reachOf(claims)).toEqual(reach);
  });

  it("hands over the identity of the passport where none of a caller's own making reaches", async () => {
    const meta = {
      passport: passportOf(person),
      user: { id: "eve" },
      identity: { userId: "eve" },
      locals: {},
    };
    expect(await broker.call("probe.account", { identity: "eve" }, { meta })).toMatchObject({
      userId: "ada",
    });
    expect(await broker.call("probe.open", {}, { meta })).toEqual({});
  });
});
