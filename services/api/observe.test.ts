import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { registry } from "../../lib/metrics.ts";
import { currentRequest } from "../../lib/request-context.ts";
import { nameRoute, observeRequest } from "./observe.ts";

type Handle = (request: IncomingMessage, response: ServerResponse) => void;

let handle: Handle;
const ended: (() => void)[] = [];
/** Lines, and the request that the code which wrote them ran for. */
const logged: object[] = [];
const server = createServer((request, response) => {
  response.once("close", () => setImmediate(() => ended.shift()?.()));
  const logger = {
    info: (...line: unknown[]) => void logged.push({ line, requestId: currentRequest()?.requestId }),
  };
  observeRequest(request, response, { logger, handle: () => handle(request, response) });
});
let url: string;

beforeAll(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  const address = server.address();
  url = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
});
afterAll(() => {
  server.close();
  server.closeAllConnections();
});
beforeEach(() => {
  registry.resetMetrics();
  logged.length = 0;
});

/** Resolves when the next answer was counted. */
const counted = (): Promise<void> => new Promise((resolve) => ended.push(resolve));
const lines = async (name: string): Promise<string[]> =>
  (await registry.getSingleMetricAsString(name))
    .split("\n")
    .filter((line) => /^[^#].*(_count|streams|open)\b/.test(line));

test("event streams are counted while they are open, and not as slow requests", async () => {
  handle = (_request, response) =>
    response.writeHead(200, { "Content-Type": "text/event-stream" }).write(": hello\n\n");
  const closed = counted();
  const client = new AbortController();
  await fetch(url, { signal: client.signal });
  expect(await lines("taskmesh_event_streams")).toEqual(["taskmesh_event_streams 1"]);
  expect(await lines("taskmesh_http_requests_open")).toEqual(["taskmesh_http_requests_open 0"]);
  client.abort();
  await closed;
  expect(await lines("taskmesh_event_streams")).toEqual(["taskmesh_event_streams 0"]);
  expect(await lines("taskmesh_http_request_duration_seconds")).toEqual([]);
});

test("a request is counted by its route and class of status, whatever path and method it came with", async () => {
  handle = (request, response) => {
    nameRoute(request, "/things/:id");
    response.writeHead(201).end();
  };
  const answered = counted();
  await fetch(`${url}/things/7?token=x`, { method: "PURGE" });
  await answered;
  expect(await lines("taskmesh_http_request_duration_seconds")).toEqual([
    'taskmesh_http_request_duration_seconds_count{method="PURGE",route="/things/:id",status="2xx"} 1',
  ]);
});

test("a request's line has its path without the query, and belongs to it", async () => {
  handle = (_request, response) => response.writeHead(204).end();
  const answered = counted();
  await fetch(`${url}/things/7?token=x`, { headers: { "X-Request-Id": "mine" } });
  await answered;
  const line = { method: "GET", path: "/things/7", status: 204, ms: expect.any(Number) };
  expect(logged).toEqual([{ line: [line, "request"], requestId: "mine" }]);
});

test("whose client left before the answer is counted among the client's errors", async () => {
  const client = new AbortController();
  handle = () => client.abort();
  const closed = counted();
  await expect(fetch(url, { signal: client.signal })).rejects.toThrow("aborted");
  await closed;
  expect(await lines("taskmesh_http_request_duration_seconds")).toEqual([
    'taskmesh_http_request_duration_seconds_count{method="GET",route="other",status="4xx"} 1',
  ]);
  expect(logged).toEqual([
    expect.objectContaining({ line: [expect.objectContaining({ status: 499 }), "request"] }),
  ]);
});

test.each([
  ["its client's, if it is a plain one", { "X-Request-Id": "mine.1" }, /^mine\.1$/],
  ["a new one otherwise", { "X-Request-Id": "a b" }, /^[0-9a-f-]{36}$/],
])("a request's id is %s", async (_which, headers, expected) => {
  handle = (_request, response) => response.end(JSON.stringify(currentRequest()));
  const answer = await (await fetch(url, { headers: new Headers(Object.entries(headers)) })).json();
  expect(answer).toMatchObject({
    requestId: expect.stringMatching(expected),
    trace: { traceId: expect.stringMatching(/^[0-9a-f]{32}$/), sampled: false },
  });
});
