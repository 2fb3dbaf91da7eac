import { createServer, type Server } from "node:http";
import { connect } from "node:net";
import { readBody, readParams } from "./input.ts";

type Route = Parameters<typeof readParams>[0] & { method: string };

let server: Server;
let port: number;
let route: Route = { method: "POST", input: "body" };
let path: Record<string, string> = {};

beforeAll(async () => {
  server = createServer((request, response) => {
    readBody(route.method, request, response)
      .then((body) => readParams(route, { url: request.url ?? "", body, path }))
      .then((params) => response.end(JSON.stringify({ params })))
      .catch(({ type, data, message }) =>
        response.end(JSON.stringify({ type, message, violations: data?.violations })),
      );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (typeof address !== "object" || !address) throw new Error("no port");
  port = address.port;
});
afterAll(() => new Promise((resolve) => server.close(resolve)));
beforeEach(() => {
  route = { method: "POST", input: "body" };
  path = {};
});

interface Sent {
  query?: string;
  type?: string;
  headers?: Record<string, string>;
}

async function send(
  body?: string | Buffer,
  { query = "", type = "application/json", headers = {} }: Sent = {},
) {
  const response = await fetch(`http://127.0.0.1:${port}/${query}`, {
    method: route.method,
    ...(body === undefined ? {} : { body, headers: { "Content-Type": type, ...headers } }),
  });
  return response.json();
}

/** A GET whose target is sent as it stands, where fetch would encode it. */
const sendTarget = (target: string) =>
  new Promise<unknown>((resolve, reject) => {
    const socket = connect(port, "127.0.0.1", () =>
      socket.end(`GET ${target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n`, "latin1"),
    );
    let text = "";
    socket.on("data", (chunk) => {
      text += chunk;
    });
    socket.on("error", reject);
    socket.on("close", () => resolve(JSON.parse(/\{.*\}/.exec(text)?.[0] ?? "null")));
  });

describe("a body", () => {
  it("becomes the params, beside those of the path", async () => {
    path = { id: "7" };
    expect(await send('{"title": "a"}')).toEqual({ params: { title: "a", id: "7" } });
  });

  it("can't override the path", async () => {
    path = { id: "7" };
    expect(await send('{"id": "8"}')).toMatchObject({
      type: "validation_failed",
      violations: [{ path: ["id"] }],
    });
  });

  it("is handed over whole where absent fields mean something", async () => {
    route = { method: "PATCH", input: "body", bodyAs: "patch" };
    path = { id: "7" };
    expect(await send('{"id": "8", "patch": 1}')).toEqual({
      params: { id: "7", patch: { id: "8", patch: 1 } },
    });
    expect(await send()).toEqual({ params: { id: "7", patch: {} } });
  });

  it("is refused where none is read, and named", async () => {
    route = { method: "POST", input: "none" };
    expect(await send('{"a": 1, "b": 2}')).toMatchObject({
      violations: [
        { path: ["a"], code: "unknown_field" },
        { path: ["b"], code: "unknown_field" },
      ],
    });
    expect(await send("{}")).toEqual({ params: {} });
  });

  it.each([
    ["[]", "validation_failed"],
    ["null", "validation_failed"],
    ['"text"', "validation_failed"],
    ["7", "validation_failed"],
    ["{", "invalid_json"],
    ["{'a': 1}", "invalid_json"],
    ['{"a": 1,}', "invalid_json"],
    ['{"a": 1} // comment', "invalid_json"],
    ['{"a": NaN}', "invalid_json"],
    ['\ufeff{"a": 1}', "invalid_json"],
    ['{"a": 1, "a": 2}', "invalid_json"],
    ['{"a": {"b": 1, "b": 1}}', "invalid_json"],
    ['{"a": [{"b": 1}, {"b": 1, "\\u0062": 2}]}', "invalid_json"],
    ['{"__proto__": {"role": "admin"}}', "validation_failed"],
    ['{"a": [{"b": 1, "__proto__": {"role": "admin"}}]}', "validation_failed"],
    ['{"a": {"\\u005f_proto__": 1}}', "validation_failed"],
    [`{"a": ${"[".repeat(100)}${"]".repeat(100)}}`, "validation_failed"],
    [`{"a": ${"[".repeat(15_000)}${"]".repeat(15_000)}}`, "validation_failed"],
    [`{"a": ${"[".repeat(200_000)}${"]".repeat(200_000)}}`, "validation_failed"],
    [`{"a": [${"1,".repeat(20_000)}1]}`, "validation_failed"],
  ])("like %.40s is %s", async (body, type) => {
    expect(await send(body)).toMatchObject({ type });
  });

  it("may have a hundred levels", async () => {
    const body = `{"a": ${"[".repeat(99)}${"]".repeat(99)}}`;
    expect(await send(body)).toEqual({ params: JSON.parse(body) });
  });

  it("has no number that is larger than any", async () => {
    expect(await send('{"a": {"b": [1, 1e999]}, "c": -1e999, "d": 1.7e308}')).toMatchObject({
      type: "validation_failed",
      violations: [
        { path: ["a", "b", 1], code: "too_large" },
        { path: ["c"], code: "too_large" },
      ],
    });
  });

  it("may have texts that would be such numbers", async () => {
    const texts = { title: "1e999", a: ["-1e999", "Infinity", "NaN"] };
    expect(await send(JSON.stringify(texts))).toEqual({ params: texts });
  });

  it("may have the same key in two objects", async () => {
    expect(await send('{"a": {"x": 1}, "b": [{"x": 1}, {"x": 2}]}')).toEqual({
      params: { a: { x: 1 }, b: [{ x: 1 }, { x: 2 }] },
    });
  });

  it("is UTF-8 and nothing else", async () => {
    expect(await send(Buffer.from('{"a": "\xff"}', "latin1"))).toMatchObject({ type: "invalid_json" });
    expect(await send('{"a": "ä🌱"}')).toEqual({ params: { a: "ä🌱" } });
  });

  it.each([
    ["POST", "application/json", true],
    ["POST", "Application/JSON; Charset=UTF-8", true],
    ["POST", 'application/json; charset="utf-8"', true],
    ["POST", "application/merge-patch+json", false],
    ["PATCH", "application/merge-patch+json", true],
    ["PATCH", "application/json", true],
    ["POST", "application/json; charset=utf-16", false],
    ["POST", "text/plain", false],
    ["POST", "application/x-www-form-urlencoded", false],
    ["POST", "application/jsonp", false],
    ["POST", "", false],
  ] as const)("by %s as %j: %s", async (method, type, accepted) => {
    route = { method, input: "body" };
    expect(await send("{}", { type })).toMatchObject(
      accepted ? { params: {} } : { type: "unsupported_media_type" },
    );
  });

  it("of many fields where none is taken is refused with the first hundred", async () => {
    route = { method: "POST", input: "none" };
    const names = Array.from({ length: 500 }, (_, index) => [`field${index}`, index]);
    const refused = await send(JSON.stringify(Object.fromEntries(names)));
    expect(refused).toMatchObject({ type: "validation_failed", violations: { length: 100 } });
  });

  it("is at most 1 MiB", async () => {
    const fitting = JSON.stringify({ a: "x".repeat(1024 * 1024 - 8) });
    expect(fitting).toHaveLength(1024 * 1024);
    expect(await send(fitting)).toHaveProperty("params");
    expect(await send(`${fitting} `)).toMatchObject({ type: "payload_too_large" });
  });

  it("in an unknown encoding, or not in the one it names, is refused", async () => {
    expect(await send("{}", { headers: { "Content-Encoding": "zstd, x" } })).toMatchObject({
      type: "unsupported_media_type",
    });
    expect(await send("{}", { headers: { "Content-Encoding": "gzip" } })).toMatchObject({
      type: "invalid_request",
    });
  });
});

describe("a query", () => {
  beforeEach(() => {
    route = { method: "GET", input: "query" };
  });

  it("becomes the params, decoded", async () => {
    expect(await sendTarget("/?tag=a+b%2Bc&status=open,done&q=%C3%A4&empty=")).toEqual({
      params: { tag: "a b+c", status: "open,done", q: "ä", empty: "" },
    });
  });

  it("can't override the path", async () => {
    path = { id: "7" };
    expect(await sendTarget("/?id=8")).toMatchObject({
      type: "validation_failed",
      violations: [{ path: ["id"], in: "query", code: "unknown_field" }],
    });
  });

  it("is refused where a parameter comes twice, in whatever spelling", async () => {
    for (const target of ["/?a=1&a=2", "/?a=1&%61=2", "/?a&a"]) {
      expect([target, await sendTarget(target)]).toEqual([
        target,
        expect.objectContaining({ type: "invalid_request" }),
      ]);
    }
  });

  it("is refused where it is no percent-encoded UTF-8", async () => {
    for (const target of ["/?a=%", "/?a=%zz", "/?a=%ff", "/?a=%c3", "/?%ed%a0%80=1"]) {
      expect([target, await sendTarget(target)]).toEqual([
        target,
        expect.objectContaining({ type: "invalid_request" }),
      ]);
    }
  });

  it("takes names that every object has for names", async () => {
    expect(await sendTarget("/?constructor=1&toString=2")).toEqual({
      params: { constructor: "1", toString: "2" },
    });
  });

  it("with __proto__ in it is not passed over without a word", async () => {
    expect(await sendTarget("/?__proto__=1")).toMatchObject({ type: "validation_failed" });
  });

  it("is refused where none is read, parameter by parameter", async () => {
    route = { method: "POST", input: "body" };
    expect(await send("{}", { query: "?a=1&b=2" })).toMatchObject({
      violations: [
        { path: ["a"], code: "unknown_field", in: "query" },
        { path: ["b"], code: "unknown_field", in: "query" },
      ],
    });
  });
});
