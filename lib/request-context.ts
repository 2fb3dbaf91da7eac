import { AsyncLocalStorage } from "node:async_hooks";
import { randomUUID } from "node:crypto";
import { unavailable } from "./errors.ts";

/** A place in a trace: what W3C Trace Context has in `traceparent` and `tracestate`. */
export interface TraceContext {
  /** 32 hexadecimal digits. */
  traceId: string;
  /** 16 hexadecimal digits; the span that whatever comes next belongs to. */
  spanId: string;
  sampled: boolean;
  state?: string;
}

/** What is being worked on, through every layer of one process, however asynchronous. */
export interface RequestContext {
  requestId: string;
  /** Absent where a call came without one. */
  trace?: TraceContext;
  /** `performance.now()` when this process took it over. */
  startedAt: number;
  /** `performance.now()` when whoever asked gives up; absent where nobody does. */
  awaitedUntil?: number;
}

const storage = new AsyncLocalStorage<RequestContext>();

/** The request that the running code works on; undefined in timers and at start and stop. */
export const currentRequest = (): RequestContext | undefined => storage.getStore();

/**
 * For what must not be done late: who asked may have asked another node since, have been answered, and gone on from there.
 *
 * @throws unavailable when nobody waits for the current request any more
 */
export function assertAwaited(): void {
  const until = currentRequest()?.awaitedUntil;
  if (until !== undefined && performance.now() >= until) throw unavailable();
}

/** Runs `work`, and all that follows from it, for this request. */
export const inRequest = <T>(request: RequestContext, work: () => T): T => storage.run(request, work);

const TRACEPARENT = /^(?!ff)[0-9a-f]{2}-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;
/** What is kept of a tracestate: as many characters as the standard asks for, none of them unprintable. */
const TRACESTATE = /^[\x20-\x7e]{1,512}$/;

/** Reads W3C Trace Context, level 1, whoever sent it; undefined when there is none, or none that is valid. */
export function readTrace(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  if (typeof traceparent !== "string" || traceparent.length > 512) return undefined;
  const [, traceId, spanId, flags, more] = TRACEPARENT.exec(traceparent) ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  // Version 00 has exactly four fields; later ones may have more.
  if (more !== undefined && traceparent.startsWith("00-")) return undefined;
  const sampled = (Number.parseInt(flags, 16) & 1) === 1;
  const state = typeof tracestate === "string" && TRACESTATE.test(tracestate) ? { state: tracestate } : {};
  return { traceId, spanId, sampled, ...state };
}

/** The same, to be read by the next process. */
export const writeTrace = ({ traceId, spanId, sampled, state }: TraceContext) => ({
  traceparent: `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`,
  ...(state === undefined ? {} : { tracestate: state }),
});

/** For a request that came without one: an id to find its log lines by. Nobody records it as a span. */
export function newTrace(): TraceContext {
  // Node makes UUIDs from randomness that it has drawn beforehand; drawing it costs ten times as much.
  const hex = (randomUUID() + randomUUID()).replaceAll("-", "");
  return { traceId: hex.slice(0, 32), spanId: hex.slice(48), sampled: false };
}
