import { createServer } from "node:http";

/** One span as it came, with the name of the process that sent it. */
export interface ReceivedSpan {
  process: string;
  name: string;
  /** OTLP's number: 2 is a server's, 3 a client's. */
  kind: number;
  traceId: string;
  spanId: string;
  parentSpanId?: string;
  attributes: Record<string, unknown>;
}

export interface OtlpCollector {
  url: string;
  /** Resolves to the spans of a trace as soon as they are as wanted. */
  trace(traceId: string, isComplete: (spans: ReceivedSpan[]) => boolean): Promise<ReceivedSpan[]>;
  /** Everything that was sent until now, as it came. */
  received(): string;
  stop(): Promise<void>;
}

interface Attribute {
  key: string;
  value: Record<string, unknown>;
}

/** The smallest collector: takes traces by OTLP over HTTP, in JSON. */
export async function startOtlpCollector(): Promise<OtlpCollector> {
  const bodies: string[] = [];
  const spans: ReceivedSpan[] = [];
  const waiting = new Set<() => void>();
  const server = createServer(async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    if (request.url === "/v1/traces") {
      bodies.push(body);
      spans.push(...readSpans(body));
    }
    response.writeHead(200, { "Content-Type": "application/json" }).end("{}");
    for (const look of waiting) look();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  const port = typeof address === "object" && address ? address.port : 0;
  return {
    url: `http://127.0.0.1:${port}`,
    trace: (traceId, isComplete) =>
      new Promise((resolve) => {
        const look = (): void => {
          const found = spans.filter((span) => span.traceId === traceId);
          if (!isComplete(found)) return;
          waiting.delete(look);
          resolve(found);
        };
        waiting.add(look);
        look();
      }),
    received: () => bodies.join("\n"),
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function readSpans(body: string): ReceivedSpan[] {
  const { resourceSpans } = JSON.parse(body);
  return resourceSpans.flatMap(
    ({
      resource,
      scopeSpans,
    }: {
      resource: { attributes: Attribute[] };
      scopeSpans: { spans: object[] }[];
    }) => {
      const { "service.name": process } = read(resource.attributes);
      return scopeSpans
        .flatMap((scope) => scope.spans)
        .map((span) => ({ process, ...span, attributes: read(Object(span).attributes ?? []) }));
    },
  );
}

const read = (attributes: Attribute[]): Record<string, unknown> =>
  Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
