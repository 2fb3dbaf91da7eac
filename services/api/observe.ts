import { randomUUID } from "node:crypto";
import { type IncomingMessage, METHODS, type ServerResponse } from "node:http";
import type { ServiceBroker } from "moleculer";
import { inRequest, newTrace, readTrace } from "../../lib/request-context.ts";
import { startSpan } from "../../lib/tracing.ts";
import { httpRequests, isEventStream, openResponses } from "./metrics.ts";
import { pathOf } from "./problem.ts";

/** What a client may call its request; anything else is replaced, so that it can't forge log lines. */
const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;

/** Of requests whose route is not known, or not yet. */
const NO_ROUTE = "other";
const routes = new WeakMap<IncomingMessage, string>();

/** Says which route a request took: the template, never what stands in its place. */
export const nameRoute = (request: IncomingMessage, route: string): void => void routes.set(request, route);

/**
 * Handles a request within its context: an id that log lines, the bus and problem documents have, and the client's
 * trace (W3C Trace Context), or a new one. Counts, traces and logs it when its answer is sent, or given up: a stream when
 * it is over.
 */
export function observeRequest(
  request: IncomingMessage,
  response: ServerResponse,
  { logger, handle }: { logger: Pick<ServiceBroker["logger"], "info">; handle: () => void },
): void {
  const startedAt = performance.now();
  const { "x-request-id": [ownId = ""] = [], traceparent = [], tracestate = [] } = request.headersDistinct;
  // More than one traceparent is none; tracestate may be split over several.
  const sent =
    traceparent.length === 1 ? readTrace(traceparent[0], tracestate.join(",") || undefined) : undefined;
  const method = METHODS.includes(request.method ?? "") ? String(request.method) : NO_ROUTE;
  const span = startSpan(
    { kind: "server", name: method, attributes: { "http.request.method": method } },
    sent,
  );
  const context = {
    requestId: REQUEST_ID.test(ownId) ? ownId : randomUUID(),
    trace: span?.context ?? sent ?? newTrace(),
    startedAt,
  };
  // Also what makes Node keep the headers of writeHead where isEventStream finds them.
  response.setHeader("X-Request-ID", context.requestId);
  openResponses.add(response);
  response.once("close", () => {
    openResponses.delete(response);
    const ms = performance.now() - startedAt;
    const route = routes.get(request) ?? NO_ROUTE;
    // Nobody was answered whose connection ended before: 499, as nginx has it.
    const code = response.writableFinished ? response.statusCode : 499;
    // How long a stream lasted says nothing of how fast it is served.
    if (!isEventStream(response))
      httpRequests.observe({ method, route, status: `${Math.floor(code / 100)}xx` }, ms / 1000);
    span?.end({
      name: `${method} ${route}`,
      attributes: { "http.route": route, "http.response.status_code": code },
      ...(code >= 500 ? { error: String(code) } : {}),
    });
    // In the context: an emitter has none, and to bind a callback to one costs more than all the rest here.
    inRequest(context, () => {
      const line = { method: request.method, path: pathOf(request), status: code, ms: Math.round(ms) };
      logger.info(line, "request");
    });
  });
  inRequest(context, handle);
}
