import { Errors, type Middleware, type ServiceBroker } from "moleculer";
import { busCalls } from "./metrics.ts";
import { aroundAction } from "./middleware.ts";
import { currentRequest, inRequest, readTrace, writeTrace } from "./request-context.ts";
import { inSpan } from "./tracing.ts";

type Call = (action: string, params?: unknown, options?: { meta?: object }) => Promise<unknown>;

/** Characters of a request id that are kept, whoever made it. */
const MAX_REQUEST_ID = 128;

/**
 * Counts and traces calls that are made here, and sends the trace along in `meta.traceparent`. Among the broker's
 * options: a `call` hook that is added later is not heard.
 */
export const observeCalls = (): Middleware => {
  const hooks: Record<string, unknown> = {
    call:
      (next: Call): Call =>
      (action, params, options) => {
        const startedAt = performance.now();
        const span = { kind: "client", name: action, attributes: rpc(action) } as const;
        const answer = inSpan(span, () => {
          const trace = currentRequest()?.trace;
          // Moleculer takes the context of the call from this very promise: it is handed on as it is.
          return next(
            action,
            params,
            trace === undefined ? options : { ...options, meta: { ...options?.meta, ...writeTrace(trace) } },
          );
        });
        count(answer, { action, side: "client" }, startedAt);
        return answer;
      },
  };
  return { name: "ObserveCalls", ...hooks };
};

/** Counts and traces calls that are answered here, and makes the request known to all that runs for it. */
export const observeActions = (_broker: ServiceBroker): Middleware =>
  aroundAction("ObserveActions", (next, { name: action = "", visibility }) => {
    // The gateway's own action around each HTTP request: the request is observed as such.
    if (visibility === "private") return next;
    return (ctx) => {
      const startedAt = performance.now();
      const { traceparent, tracestate } = fields(ctx.meta);
      const trace = readTrace(traceparent, tracestate);
      const requestId = String(ctx.requestID).slice(0, MAX_REQUEST_ID);
      const { timeout } = ctx.options;
      const request = {
        requestId,
        startedAt,
        ...(trace ? { trace } : {}),
        ...(timeout ? { awaitedUntil: startedAt + timeout } : {}),
      };
      const span = { kind: "server", name: action, attributes: rpc(action) } as const;
      const answer = inRequest(request, () => inSpan(span, async () => next(ctx)));
      count(answer, { action, side: "server" }, startedAt);
      return answer;
    };
  });

/** OpenTelemetry's names for a remote call. */
const rpc = (action: string) => ({ "rpc.system.name": "moleculer", "rpc.method": action });

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? { ...value } : {};

function count(
  answer: Promise<unknown>,
  labels: { action: string; side: "client" | "server" },
  startedAt: number,
): void {
  const ended = (outcome: string): void =>
    busCalls.observe({ ...labels, outcome }, (performance.now() - startedAt) / 1000);
  answer.then(
    () => ended("ok"),
    (error: unknown) => ended(outcomeOf(error)),
  );
}

/** A few values, whatever codes services have: `refused` is the caller's doing, the rest is not. */
function outcomeOf(error: unknown): string {
  if (error instanceof Errors.RequestTimeoutError || error instanceof Errors.RequestSkippedError)
    return "timeout";
  if (error instanceof Errors.ServiceNotFoundError || error instanceof Errors.ServiceNotAvailableError)
    return "unreachable";
  if (!(error instanceof Errors.MoleculerError)) return "failed";
  if (error.code === 503) return "unavailable";
  return error.code >= 400 && error.code < 500 ? "refused" : "failed";
}
