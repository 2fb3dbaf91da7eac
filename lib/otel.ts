import {
  createTraceState,
  ROOT_CONTEXT,
  SpanKind,
  SpanStatusCode,
  TraceFlags,
  trace,
} from "@opentelemetry/api";
import { OTLPTraceExporter } from "@opentelemetry/exporter-trace-otlp-http";
import { resourceFromAttributes } from "@opentelemetry/resources";
import { BatchSpanProcessor, TracerProvider } from "@opentelemetry/sdk-trace";
import type { TraceContext } from "./request-context.ts";
import type { Tracer } from "./tracing.ts";

const KINDS = { server: SpanKind.SERVER, client: SpanKind.CLIENT };
/** Milliseconds that a stopping process waits for a collector. */
const FLUSH_TIMEOUT = 3_000;
/** Milliseconds between two sendings. */
const SEND_EVERY = 1_000;

interface OtelOptions {
  /** Of a collector that takes OTLP over HTTP, without `/v1/traces`. */
  endpoint: string;
  /** Name of this process: the services it runs. */
  service: string;
  /** The mesh it belongs to. */
  namespace: string;
  version: string;
  instance: string;
}

/** OpenTelemetry's SDK, which sends spans in the background. Loaded only where OTEL_EXPORTER_OTLP_ENDPOINT is set. */
export function openTracer({ endpoint, service, namespace, version, instance }: OtelOptions): Tracer {
  const exporter = new OTLPTraceExporter({ url: `${endpoint}/v1/traces`, timeoutMillis: FLUSH_TIMEOUT });
  const provider = new TracerProvider({
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
