import { currentRequest, inRequest, type TraceContext } from "./request-context.ts";
import { sqlState } from "./sql-state.ts";

export type Attributes = Record<string, string | number>;

export interface Span {
  context: TraceContext;
  /** Once. `error` is a name or code, never a message: it may quote what was sent. */
  end(outcome?: { name?: string; error?: string; attributes?: Attributes }): void;
}

export interface SpanStart {
  kind: "server" | "client";
  name: string;
  attributes?: Attributes;
}

export interface Tracer {
  /** A span under `parent`, or the first one of a trace. */
  start(span: SpanStart, parent: TraceContext | undefined): Span;
  /** Sends what is still here. */
  close(): Promise<void>;
}

let tracer: Tracer | undefined;

/** Spans are made from now on. lib/otel.ts is the tracer that sends them; without any, nothing here costs a thing. */
export function traceBy(next: Tracer | undefined): void {
  tracer = next;
}

/** Begins a span that somebody else ends; undefined when nobody traces. */
export const startSpan = (span: SpanStart, parent: TraceContext | undefined): Span | undefined =>
  tracer?.start(span, parent);

/**
 * Runs `work` in a span under the current request's; what follows from it is under that one. Where there is no trace
 * (timers, health checks) or nobody traces, `work` alone. `work` is always called before this returns.
 */
export function inSpan<T>(span: SpanStart, work: () => Promise<T>): Promise<T> {
  const request = currentRequest();
  if (tracer === undefined || request?.trace === undefined) return work();
  const started = tracer.start(span, request.trace);
  const answer = inRequest({ ...request, trace: started.context }, work);
  answer.then(
    () => started.end(),
    (error: unknown) => started.end({ error: errorName(error) }),
  );
  return answer;
}

/** Our errors say what they are by `type`, PostgreSQL's by SQLSTATE. */
function errorName(error: unknown): string {
  if (!(error instanceof Error)) return "error";
  if ("type" in error && typeof error.type === "string" && error.type !== "") return error.type;
  return sqlState(error) || error.name;
}
