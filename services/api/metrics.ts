import type { ServerResponse } from "node:http";
import { Counter, Gauge, Histogram, LATENCY_BUCKETS, registry } from "../../lib/metrics.ts";

const registers = [registry];

export const httpRequests = new Histogram({
  name: "taskmesh_http_request_duration_seconds",
  help: "Requests by route and class of status, until their answer was sent; event streams aside",
  labelNames: ["method", "route", "status"] as const,
  buckets: LATENCY_BUCKETS,
  registers,
});

export const throttledRequests = new Counter({
  name: "taskmesh_throttled_requests_total",
  help: "Requests answered with 429, by the limit that they went over",
  labelNames: ["policy"] as const,
  registers,
});

/** Whose answer is not complete. */
export const openResponses = new Set<ServerResponse>();

export const isEventStream = (response: ServerResponse): boolean =>
  String(response.getHeader("content-type") ?? "").startsWith("text/event-stream");

new Gauge({
  name: "taskmesh_http_requests_open",
  help: "Requests whose answer is not complete; event streams aside",
  registers,
  collect() {
    this.set([...openResponses].filter((response) => !isEventStream(response)).length);
  },
});

new Gauge({
  name: "taskmesh_event_streams",
  help: "Open event streams",
  registers,
  collect() {
    this.set([...openResponses].filter(isEventStream).length);
  },
});
