import fc from "fast-check";
import Joi from "joi";
import { type ActionParams, type Context, ServiceBroker } from "moleculer";
import { authActions } from "../services/auth/auth.schema.ts";
import { taskActions } from "../services/tasks/tasks.schema.ts";
import { runFor } from "../tests/support/run-for.ts";
import { commaList } from "./schema.ts";
import { JoiValidator, joi, validate } from "./validator.ts";

interface Refusal {
  code: number;
  type: string;
  message: string;
  violations: { path: (string | number)[]; code: string; detail: string }[];
}

/** The refusal of a value, or undefined when it is accepted. */
function refusal(schema: Joi.ObjectSchema, input: unknown): Refusal | undefined {
  try {
    validate(schema, input);
    return undefined;
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    const { code, type, message, data } = {
      code: 0,
      type: "",
      data: { violations: [] },
      ...error,
      message: error.message,
    };
    return { code, type, message, violations: data?.violations ?? [] };
  }
}

const contracts: Record<string, { params: Joi.ObjectSchema }> = { ...authActions, ...taskActions };

const codes = (schema: Joi.ObjectSchema, input: unknown) =>
  refusal(schema, input)?.violations.map(({ path, code }) => [path.join("."), code]);

const schema = Joi.object({
  title: Joi.string().min(2).max(5).required(),
  priority: Joi.string().valid("low", "high"),
  count: Joi.number().min(1).max(9),
  tags: Joi.array().items(Joi.string()).min(1).max(2).unique(),
  patch: Joi.object({ timeZone: Joi.string(), locale: Joi.string() }),
});

describe("a refusal", () => {
  it("names everything that is wrong at once, each by path and code", () => {
    const input = {
      title: "x",
      priority: "highest",
      count: 0,
      tags: ["a", "a", "b"],
      patch: { timezone: "UTC" },
      more: 1,
    };

    expect(refusal(schema, input)).toEqual({
      code: 422,
      type: "validation_failed",
      message: expect.any(String),
      violations: expect.any(Array),
    });
    expect(codes(schema, input)).toEqual([
      ["title", "too_short"],
      ["priority", "not_one_of"],
      ["count", "too_small"],
      ["tags", "too_many"],
      ["tags.1", "duplicate"],
      ["patch.timezone", "unknown_field"],
      ["more", "unknown_field"],
    ]);
  });

  it.each([
    [{}, "required"],
    [{ title: 7 }, "wrong_type"],
    [{ title: null }, "wrong_type"],
    [{ title: "" }, "too_short"],
    [{ title: "sixsix" }, "too_long"],
    [{ title: "abc", tags: [] }, "too_few"],
    [{ title: "abc", count: 10 }, "too_large"],
    [{ title: "abc", patch: [] }, "wrong_type"],
  ])("of %j has the code %s", (input, code) => {
    expect(refusal(schema, input)?.violations.map((violation) => violation.code)).toEqual([code]);
  });

  it.each([
    [{ titel: "abc" }, 'did you mean "title"?'],
    [{ Priority: "low" }, 'did you mean "priority"?'],
    [{ patch: { timezone: "UTC" } }, 'did you mean "timeZone"?'],
    [{ tag: ["a"] }, 'did you mean "tags"?'],
  ])("of the misspelt %j asks whether another was meant", (input, hint) => {
    expect(refusal(schema, { title: "abc", ...input })?.message).toContain(hint);
  });

  it("of a field like no other has no hint", () => {
    expect(refusal(schema, { title: "abc", isAdministrator: true })?.message).not.toContain("did you mean");
  });

  it("names a key that every object has like any other", () => {
    const input = JSON.parse('{"title": "abc", "constructor": {}, "toString": 1}');
    expect(codes(schema, input)).toEqual([
      ["constructor", "unknown_field"],
      ["toString", "unknown_field"],
    ]);
  });

  const fields = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`field${index}`, index]));

  it("has a hundred violations at the most, one of a thousand values, and none of more than anyone means", () => {
    expect(refusal(authActions.login.params, fields(900))?.violations).toHaveLength(100);
    expect(refusal(authActions.login.params, fields(10_000))?.violations).toHaveLength(1);
    expect(codes(authActions.login.params, fields(20_001))).toEqual([["", "too_many"]]);
    expect(codes(schema, { title: "abc", tags: new Array(20_000).fill("x") })).toEqual([["", "too_many"]]);
  });

  it("looks at no more of a list than may be in it, when it comes as text", () => {
    let looks = 0;
    const item = Joi.string().custom((value: string) => {
      looks += 1;
      return value;
    });
    const list = Joi.object({ list: commaList(item) });
    expect(codes(list, { list: Array.from({ length: 16_000 }, (_, index) => index).join(",") })).toEqual([
      ["list", "too_many"],
    ]);
    expect(looks).toBeLessThan(200);
  });

  it("is of the value when it has another type than a rule compares", () => {
    const twice = refusal(taskActions.list.params, { sort: [1, 1] });
    expect(twice).toMatchObject({ type: "validation_failed" });
    expect(twice?.violations.map(({ path }) => path.join("."))).toEqual(
      expect.arrayContaining(["sort.0", "sort.1"]),
    );
  });

  it("repeats no more than the beginning of a field's name", () => {
    const name = "x".repeat(5_000);
    expect(JSON.stringify(refusal(schema, { title: "abc", patch: { [name]: 1 } })).length).toBeLessThan(
      1_000,
    );
  });
});

describe("a text that is long", () => {
  const LENGTH = 100_000;
  const texts = ["T", "a", "0", " ", ",", "-", ".", "@", "a@", "a.", "T ", "0-", "%", "\0", "é"].map((part) =>
    part.repeat(LENGTH / part.length),
  );

  it.each(Object.entries(contracts))("line 27: does not hold the process up: %s", (_name, { params }) => {
    const names = Object.keys(params.describe().keys ?? {});
    runFor(10_000, () => {
      for (const text of texts) {
        const all = Object.fromEntries(names.map((name) => [name, text]));
        for (const input of [all, { patch: all }, { [text]: text }]) refusal(params, input);
      }
    });
  });
});

describe("no refusal of any action repeats what was sent", () => {
  const SECRET = "hunter2-hunter2";
  /** The secret, and whatever a client may have wrapped it in by mistake. */
  const secrets = fc.constantFrom<unknown>(
    SECRET,
    [SECRET],
    [SECRET, SECRET],
    { value: SECRET },
    `${SECRET}\0`,
    `${SECRET}\ud800`,
    SECRET.repeat(10),
    SECRET.repeat(2_000),
    `${SECRET},${SECRET}`,
  );

  it.each(Object.entries(contracts))("%s", (_name, { params }) => {
    const names = Object.keys(params.describe().keys ?? {});
    const fields = fc.dictionary(fc.constantFrom(...names, "unknown", "__other__"), secrets, { minKeys: 1 });
    const inputs = fc.oneof(
      fields,
      fields.map((patch) => ({ patch })),
      secrets,
    );
    fc.assert(
      fc.property(inputs, (input) => {
        expect(JSON.stringify(refusal(params, input) ?? {})).not.toContain(SECRET);
      }),
    );
  });
});

describe("the broker's validator", () => {
  const echo = (params: ActionParams) => ({ params, handler: (ctx: Context) => ctx.params });
  const broker = new ServiceBroker({ logger: false, validator: new JoiValidator() });
  broker.createService({
    name: "echo",
    actions: {
      joi: echo(joi(Joi.object({ email: Joi.string().lowercase(), limit: Joi.number().default(20) }))),
      fastest: echo({ limit: { type: "number", max: 10, convert: true } }),
      none: (ctx: Context) => ctx.params,
    },
  });
  beforeAll(() => broker.start());
  afterAll(() => broker.stop());

  it("hands over the canonical form of the params", async () => {
    expect(await broker.call("echo.joi", { email: "ADA@example.com" })).toEqual({
      email: "ada@example.com",
      limit: 20,
    });
    expect(await broker.call("echo.joi")).toEqual({ limit: 20 });
  });

  it("rejects what Joi refuses, and throws nothing at the caller's stack", async () => {
    const call = broker.call("echo.joi", { limit: "many" });
    await expect(call).rejects.toMatchObject({ code: 422, type: "validation_failed" });
  });

  it("leaves the params of other services to Fastest Validator, and those without a schema alone", async () => {
    expect(await broker.call("echo.fastest", { limit: "5" })).toEqual({ limit: 5 });
    expect(await broker.call("echo.none", { limit: "5" })).toEqual({ limit: "5" });
    await expect(broker.call("echo.fastest", { limit: 50 })).rejects.toMatchObject({
      code: 422,
      type: "VALIDATION_ERROR",
      data: [{ field: "limit", type: "numberMax" }],
    });
  });

  it("keeps the schema to itself when Moleculer sends an action to other nodes", () => {
    expect(JSON.stringify(joi(Joi.object({ limit: Joi.number() })))).toBe("{}");
  });
});
