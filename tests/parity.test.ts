import Joi from "joi";
import { type ActionParams, type Context, Errors, type ServiceBroker, type ServiceSchema } from "moleculer";
import { action, openAction } from "../lib/action.ts";
import { notFound, problem, validationFailed } from "../lib/errors.ts";
import { PASSPORT_TYPE } from "../lib/passport.ts";
import { dateOrInstant } from "../lib/schema.ts";
import { newNamespace, startProjectNode, type TestNode } from "./support/broker.ts";
import { forge, newKeyPair } from "./support/forged-tokens.ts";

const pair = newKeyPair();
const namespace = newNamespace();

const cycle: Record<string, unknown> = {};
cycle.self = cycle;

/** Everything that an action may throw. */
const failures: Record<string, () => unknown> = {
  "a problem": () => problem("email_taken", "There is one."),
  "a missing thing": () => notFound("task"),
  "an outage": () => problem("unavailable", "Try again."),
  "several violations": () =>
    validationFailed([
      { path: ["a", 0], code: "too_short", detail: "Short." },
      { path: [], code: "wrong_type", detail: "Wrong." },
    ]),
  "an error of the service's own": () =>
    new Errors.MoleculerClientError("Full.", 409, "LIST_FULL", { limit: 10 }),
  "an error that may be tried again": () => new Errors.MoleculerRetryableError("Later.", 503, "LATER"),
  "data with dates and undefined": () =>
    new Errors.MoleculerError("Odd.", 418, "ODD", {
      at: new Date(0),
      gone: undefined,
      list: [undefined, Number.NaN],
    }),
  "data that is a list": () => new Errors.MoleculerError("Odd.", 418, "ODD", [1, "two", null]),
  "data with a BigInt": () => new Errors.MoleculerError("Odd.", 418, "ODD", { count: 1n }),
  "data in a cycle": () => new Errors.MoleculerError("Odd.", 418, "ODD", cycle),
  "no data": () => new Errors.MoleculerError("Odd.", 418, "ODD"),
  "data that is null": () => new Errors.MoleculerError("Odd.", 418, "ODD", null),
  "a plain error": () => new Error("SELECT failed on db-1"),
  "a type error": () => new TypeError("x is not a function"),
  "a database that is gone": () => Object.assign(new Error("connect 10.0.0.7"), { code: "ECONNREFUSED" }),
  "a text": () => "oops",
  nothing: () => undefined,
};

/** Everything that an action may answer. */
const answers: Record<string, () => unknown> = {
  "a date": () => new Date(0),
  "dates inside": () => ({ at: new Date(0), list: [new Date(1)] }),
  "undefined inside": () => ({ gone: undefined, list: [undefined, 1], deep: { gone: undefined } }),
  "numbers that JSON has not": () => ({ list: [Number.NaN, Number.POSITIVE_INFINITY, -0] }),
  "collections that JSON has not": () => ({
    map: new Map([[1, 2]]),
    set: new Set([1]),
    bytes: Buffer.from("a"),
  }),
  "functions and symbols": () => ({ call: () => 1, symbol: Symbol("x"), kept: 1 }),
  "its own form": () => ({ toJSON: () => ({ short: true }) }),
  "a key that every object has": () => JSON.parse('{"__proto__": {"admin": true}, "constructor": 1}'),
  "a long text": () => "ä🌱".repeat(50_000),
  "an empty object": () => ({}),
  nothing: () => undefined,
  null: () => null,
  false: () => false,
  zero: () => 0,
  "an empty text": () => "",
  "a BigInt": () => 1n,
  "a cycle": () => cycle,
};

const contract = {
  summary: "An action of ours",
  scope: "account" as const,
  params: Joi.object<{ title: string; due?: string; limit: number }>({
    title: Joi.string().trim().max(5).required(),
    due: dateOrInstant(),
    limit: Joi.number().integer().default(20),
  }),
  result: Joi.any(),
};

const shared = { list: [1] };

/** Anyone on the bus may call it, as with `openAction`, but without a contract of ours. */
const open = <P>(handler: (ctx: Context<P>) => unknown, params: ActionParams = {}) => ({
  access: "open",
  params: { ...params },
  handler,
});

const services = (): ServiceSchema[] => [
  {
    name: "probe",
    actions: {
      echo: open((ctx) => ({ params: ctx.params })),
      change: open<{ list: number[] }>(({ params, meta }) => {
        params.list.push(2);
        Object.assign(Reflect.get(meta, "client") ?? {}, { address: "changed" });
        return shared;
      }),
      fail: open<{ with: string }>(({ params }) => {
        throw failures[params.with]?.();
      }),
      failBelow: open<{ with: string }>((ctx) => ctx.call("probe.fail", ctx.params)),
      answer: open<{ with: string }>(({ params }) => answers[params.with]?.()),
      open: openAction(contract, async (params, client) => ({ params, client })),
      guarded: action(contract, async (params, identity) => ({ params, identity })),
    },
  },
  {
    // Written by somebody else, without a line of ours.
    name: "foreign",
    actions: {
      add: open<{ a: number; b: number }>(({ params }) => params.a + params.b, {
        a: "number",
        b: { type: "number", convert: true, default: 1 },
        $$strict: true,
      }),
      unguarded: (ctx: Context) => ctx.params,
    },
  },
  {
    name: "auth",
    actions: {
      jwks: open(() => ({ keys: [{ ...pair.publicKey.export({ format: "jwk" }), kid: "key-1" }] })),
    },
  },
];

let nodes: TestNode[];
let oneProcess: ServiceBroker;
let overAmqp: ServiceBroker;

beforeAll(async () => {
  const [alone, server, caller] = await Promise.all([
    startProjectNode(services()),
    startProjectNode(services(), { namespace }),
    startProjectNode([], { namespace }),
  ]);
  nodes = [alone, server, caller];
  oneProcess = alone.broker;
  overAmqp = caller.broker;
  await overAmqp.waitForServices(["probe", "foreign", "auth"]);
});
afterAll(() => Promise.all(nodes.map((node) => node.stop())));

interface Call {
  action: string;
  params?: unknown;
  meta?: Record<string, unknown>;
}

/** What a caller sees of a call: its result, or all that an error tells by. */
async function outcome(broker: ServiceBroker, { action: name, params, meta = {} }: Call): Promise<unknown> {
  try {
    return { result: await broker.call(name, params, { meta }) };
  } catch (error) {
    if (!(error instanceof Error)) return { thrown: error };
    const told = ["name", "message", "code", "type", "data", "retryable"].map((key) => [
      key,
      Reflect.get(error, key) ?? null,
    ]);
    const ofTheBroker = error instanceof Errors.MoleculerError;
    return { ofTheBroker, ...Object.fromEntries(told) };
  }
}

/** The one outcome that both have, or the difference. */
async function both(call: Call): Promise<unknown> {
  const [here, there] = await Promise.all([outcome(oneProcess, call), outcome(overAmqp, call)]);
  expect(here).toEqual(there);
  // toEqual passes over keys that are undefined, which JSON would have left out.
  expect(JSON.stringify(here)).toBe(JSON.stringify(there));
  return here;
}

describe("a call in one process and over the bus", () => {
  it.each(Object.keys(answers))("answers alike with %s", async (name) => {
    await both({ action: "probe.answer", params: { with: name } });
  });

  it.each(Object.keys(failures))("fails alike with %s", async (name) => {
    await both({ action: "probe.fail", params: { with: name } });
    await both({ action: "probe.failBelow", params: { with: name } });
  });

  it.each<[string, unknown]>([
    ["none", undefined],
    ["null", null],
    ["empty", {}],
    ["dates", { at: new Date(0) }],
    ["undefined inside", { gone: undefined, list: [undefined] }],
    ["an instance", Object.assign(new (class Point {})(), { x: 1 })],
    ["a key that every object has", JSON.parse('{"__proto__": {"admin": true}}')],
  ])("takes params alike: %s", async (_, params) => {
    await both({ action: "probe.echo", params });
  });

  it("has dates as text and no undefined", async () => {
    expect(await both({ action: "probe.answer", params: { with: "dates inside" } })).toEqual({
      result: { at: "1970-01-01T00:00:00.000Z", list: ["1970-01-01T00:00:00.001Z"] },
    });
    expect(await both({ action: "probe.answer", params: { with: "undefined inside" } })).toStrictEqual({
      result: { list: [null, 1], deep: {} },
    });
    expect(await both({ action: "probe.echo", params: { at: new Date(0) } })).toEqual({
      result: { params: { at: "1970-01-01T00:00:00.000Z" } },
    });
  });

  it("tells errors by code, with their data", async () => {
    expect(await both({ action: "probe.fail", params: { with: "several violations" } })).toMatchObject({
      code: 422,
      type: "validation_failed",
      data: { violations: [{ path: ["a", 0] }, { path: [] }] },
    });
    expect(
      await both({ action: "probe.fail", params: { with: "an error of the service's own" } }),
    ).toMatchObject({
      code: 409,
      type: "LIST_FULL",
      data: { limit: 10 },
      message: "Full.",
    });
  });

  it("lets no message out of an error that nobody meant for a caller", async () => {
    for (const name of ["a plain error", "a type error", "a text", "nothing", "a database that is gone"]) {
      const told = await both({ action: "probe.fail", params: { with: name } });
      expect(told).toMatchObject({
        ofTheBroker: true,
        type: expect.stringMatching(/^(internal|unavailable)$/),
      });
      expect(JSON.stringify(told)).not.toMatch(/SELECT|10\.0\.0|not a function|oops/);
    }
  });

  it("answers with `internal` when the answer can't travel", async () => {
    for (const name of ["a BigInt", "a cycle"]) {
      const told = await both({ action: "probe.answer", params: { with: name } });
      expect(told).toMatchObject({ ofTheBroker: true, code: 500, type: "internal" });
    }
  });

  it("shares nothing by reference", async () => {
    for (const broker of [oneProcess, overAmqp]) {
      const params = { list: [1] };
      const result = await broker.call<{ list: number[] }, typeof params>("probe.change", params);
      result.list.push(3);

      expect(params).toEqual({ list: [1] });
      expect(shared).toEqual({ list: [1] });
    }
  });

  it("lets a handler change nothing of the meta that its caller holds", async () => {
    const client = { address: "127.0.0.1" };
    for (const broker of [oneProcess, overAmqp]) {
      await broker.call("probe.change", { list: [] }, { meta: { client } });
      expect(client).toEqual({ address: "127.0.0.1" });
    }
  });
});

describe("validation in one process and over the bus", () => {
  it.each<[string, unknown]>([
    ["none", undefined],
    ["good ones", { title: " a ", due: "2026-12-01t09:00:00+03:00", limit: "7" }],
    ["a date object", { title: "a", due: new Date(0) }],
    ["an undefined one", { title: "a", due: undefined }],
    ["everything wrong", { title: "too long", due: "tomorrow", limit: 1.5, titel: "a" }],
    ["a list", ["a"]],
    ["text", "a"],
  ])("by Joi is alike with params: %s", async (_, params) => {
    await both({ action: "probe.open", params });
  });

  it("by Joi hands over canonical params", async () => {
    const params = { title: " a ", due: "2026-12-01T09:00:00+03:00" };
    expect(await both({ action: "probe.open", params })).toEqual({
      result: { params: { title: "a", due: "2026-12-01T06:00:00.000Z", limit: 20 }, client: {} },
    });
    expect(await both({ action: "probe.open", params: {} })).toMatchObject({
      code: 422,
      type: "validation_failed",
      data: { violations: [{ path: ["title"], code: "required" }] },
    });
  });

  it.each<[string, unknown]>([
    ["good ones", { a: 1, b: "2" }],
    ["a default", { a: 1 }],
    ["a wrong one", { a: "1" }],
    ["an unknown one", { a: 1, c: 1 }],
    ["none", undefined],
  ])("by a foreign service's Fastest Validator is alike with params: %s", async (_, params) => {
    const [here, there] = await Promise.all(
      [oneProcess, overAmqp].map((on) => outcome(on, { action: "foreign.add", params })),
    );
    // Fastest Validator names the node, which is not the same one.
    const withoutNode = (told: unknown) =>
      JSON.parse(JSON.stringify(told, (key, value) => (key === "nodeID" ? undefined : value)));
    expect(withoutNode(here)).toEqual(withoutNode(there));
  });

  it("by Fastest Validator still works for a foreign service", async () => {
    expect(await both({ action: "foreign.add", params: { a: 1, b: "2" } })).toEqual({ result: 3 });
    expect(await outcome(oneProcess, { action: "foreign.add", params: { a: "1" } })).toMatchObject({
      code: 422,
      type: "VALIDATION_ERROR",
      data: [{ field: "a", type: "number" }],
    });
  });
});

describe("the guard in one process and over the bus", () => {
  const now = Math.floor(Date.now() / 1000);
  const claims = { sub: "ada", role: "user", sid: "session-1", tz: "UTC", scope: "account", exp: now + 60 };
  const passportFor = (audience: string) =>
    forge(
      { alg: "ES256", typ: PASSPORT_TYPE, kid: "key-1" },
      { ...claims, aud: `${audience}/bus` },
      pair.privateKey,
    );
  const params = { title: "a" };

  it("refuses alike without a passport, before it looks at the params", async () => {
    for (const name of ["probe.guarded", "foreign.unguarded"]) {
      expect(await both({ action: name, params: { wrong: true } })).toMatchObject({
        code: 401,
        type: "invalid_passport",
      });
    }
  });

  it("hands over who it is from the passport alone", async () => {
    const expected = { userId: "ada", role: "user", sessionId: "session-1", timeZone: "UTC" };
    for (const broker of [oneProcess, overAmqp]) {
      const meta = {
        passport: passportFor(broker.namespace),
        user: { id: "eve", role: "admin" },
        identity: { userId: "eve" },
      };
      expect(await outcome(broker, { action: "probe.guarded", params, meta })).toMatchObject({
        result: { identity: expected },
      });
    }
  });

  it("refuses the passport of another mesh", async () => {
    const meta = { passport: passportFor("elsewhere") };
    expect(await both({ action: "probe.guarded", params, meta })).toMatchObject({ type: "invalid_passport" });
  });
});
