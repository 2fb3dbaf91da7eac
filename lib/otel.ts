import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { setGlobalErrorHandler } from "@opentelemetry/core";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from "@opentelemetry/sdk-trace";
import type { TraceContext } from "./request-context.ts";
import type { Tracer } from "./tracing.ts";

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT };
/** Milliseconds that a stopping process waits for a collector. */
const FLUSH_TIMEOUT = 3_000;
/** Milliseconds between two sendings. */
const SEND_EVERY = 1_000;
/** Milliseconds until trouble with the collector is told again. */
const TELL_EVERY = 60_000;

interface OtelOptions {
  /** Of a collector that takes OTLP over HTTP, without `/v1/traces`. */
  endpoint: string;
  /** Name of this process: the services it runs. */
  service: string;
  /** The mesh it belongs to. */
  namespace: string;
  version: string;
  instance: string;
  /** Of the traces that begin here, the share that is sent, from 0 to 1. What others began is sent if they said so. */
  share: number;
  /** Told at most once a minute that spans could not be sent. They are lost. */
  onError: (error: unknown) => void;
}

/** OpenTelemetry's SDK, which sends spans in the background. Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set. */
export function openTracer({
  endpoint,
  service,
  namespace,
  version,
  instance,
  share,
  onError,
}: OtelOptions): Tracer {
  tellOf(onError);
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: FLUSH_TIMEOUT });
  const provider = new TracerProvider({
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(share) }),
    resource: resourceFromAttributes({
      "service.name": service,
      "service.namespace": namespace,
      "service.version": version,
      "service.instance.id": instance,
    }),
    spanProcessors: [new BatchSpanProcessor({ exporter, scheduledDelayMillis: SEND_EVERY })],
  });
  const spans = provider.getTracer("taskmesh", version);
  return {
    start({ kind, name, attributes = {} }, parent) {
      const span = spans.startSpan(name, { kind: KINDS[kind], attributes }, contextOf(parent));
      const { traceId, spanId, traceFlags } = span.spanContext();
      const sampled = (traceFlags & TraceFlags.SAMPLED) !== 0;
      return {
        context: { traceId, spanId, sampled, ...(parent?.state ? { state: parent.state } : {}) },
        end(outcome = {}) {
          if (outcome.name) span.updateName(outcome.name);
          if (outcome.attributes) span.setAttributes(outcome.attributes);
          if (outcome.error) {
            span.setAttribute("error.type", outcome.error);
            span.setStatus({ code: SpanStatusCode.ERROR });
          }
          span.end();
        },
      };
    },
    close: () => provider.shutdown(),
  };
}

/** The SDK tells its troubles to one place in a process: each second, while a collector is away. */
function tellOf(onError: OtelOptions["onError"]): void {
  let toldAt = Number.NEGATIVE_INFINITY;
  setGlobalErrorHandler((error) => {
    if (performance.now() - toldAt < TELL_EVERY) return;
    toldAt = performance.now();
    onError(error);
  });
}

function contextOf(parent: TraceContext | undefined) {
  if (parent === undefined) return ROOT_CONTEXT;
  const { traceId, spanId, sampled, state } = parent;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId,
    spanId,
    traceFlags: sampled ? TraceFlags.SAMPLED : TraceFlags.NONE,
    isRemote: true,
    ...(state === undefined ? {} : { traceState: createTraceState(state) }),
  });
}
