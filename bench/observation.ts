/**
 * npm run bench:observation
 *
 * What it costs a request to be seen: everything that is measured of one (its own histogram, a call on both sides twice,
 * three statements, its context and a log line's fields), without the work itself. Microseconds a request, median of
 * nine turns, with nobody who takes traces, and with OpenTelemetry whose collector throws away what it gets.
 */
import { createServer } from "node:http";
import { busCalls, registry } from "../lib/metrics.ts";
import { observeQuery } from "../lib/observe-sql.ts";
import { openTracer } from "../lib/otel.ts";
import { inRequest, newTrace, readTrace, writeTrace } from "../lib/request-context.ts";
import { inSpan, traceBy } from "../lib/tracing.ts";
import { httpRequests } from "../services/api/metrics.ts";
import { median } from "./support/statistics.ts";

const TURNS = 9;
const REQUESTS = 10_000;

const nothing = async (): Promise<void> => {};
const statement = ["SELECT id FROM tasks.tasks WHERE user_id = $1", { bind: ["x"] }];

async function call(action: string): Promise<void> {
  const startedAt = performance.now();
  await inSpan({ kind: "client", name: action, attributes: { "rpc.method": action } }, async () => {
    const { traceparent } = writeTrace(newTrace());
    const trace = readTrace(traceparent);
    await inRequest({ requestId: "r", startedAt, ...(trace ? { trace } : {}) }, () =>
      inSpan({ kind: "server", name: action, attributes: { "rpc.method": action } }, async () => {
        await observeQuery(statement, nothing);
        busCalls.observe({ action, side: "server", outcome: "ok" }, 0.003);
      }),
    );
  });
  busCalls.observe({ action, side: "client", outcome: "ok" }, 0.004);
}

async function request(): Promise<void> {
  const trace = { ...newTrace(), sampled: true };
  await inRequest({ requestId: "r", startedAt: performance.now(), trace }, async () => {
    await call("auth.verify");
    await call("tasks.list");
    await observeQuery(statement, nothing);
    httpRequests.observe({ method: "GET", route: "/tasks", status: "2xx" }, 0.005);
  });
}

async function measure(name: string): Promise<void> {
  const figures: number[] = [];
  for (let turn = 0; turn < TURNS; turn++) {
    const before = process.cpuUsage();
    for (let done = 0; done < REQUESTS; done++) await request();
    const { user, system } = process.cpuUsage(before);
    figures.push((user + system) / REQUESTS);
  }
  console.log(`${name}: ${median(figures).toFixed(1)} µs of processor time a request`);
}

await measure("metrics and context");
const collector = createServer((sent, answer) => sent.resume().on("end", () => answer.end("{}")));
await new Promise<void>((resolve) => collector.listen(0, "127.0.0.1", resolve));
const address = collector.address();
const endpoint = `http://127.0.0.1:${typeof address === "object" && address ? address.port : 0}`;
const tracer = openTracer({
  endpoint,
  service: "bench",
  namespace: "bench",
  version: "0",
  instance: "0",
  share: 1,
  onError: console.error,
});
traceBy(tracer);
await measure("and traces");
traceBy(undefined);
await tracer.close().catch(() => {});
const shownAt = performance.now();
const { length } = await registry.metrics();
console.log(`GET /metrics: ${(performance.now() - shownAt).toFixed(1)} ms, ${length} bytes`);
collector.close();
collector.closeAllConnections();
