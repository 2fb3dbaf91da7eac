import { createServer, type ServerResponse } from "node:http";
import { registry } from "./metrics.ts";

/** Seconds a failing readiness probe suggests to wait. */
const RETRY_AFTER = "2";

interface OpsServer {
  /** Replaces the readiness check; until the first call the process is not ready. */
  readyWhen(check: () => Promise<boolean>): void;
  /** What `/health/ready` would answer now. */
  isReady(): Promise<boolean>;
  close(): Promise<void>;
}

/**
 * Health and metrics of one process, on a port of its own that opens before the broker connects: a process that waits
 * for RabbitMQ is alive, and must say so. `GET /health/live` → 200; `GET /health/ready` → 200 or 503; `GET /metrics` →
 * Prometheus's text format.
 *
 * @throws the listen error, e.g. EADDRINUSE
 */
export async function openOpsServer(host: string, port: number): Promise<OpsServer> {
  let check = async (): Promise<boolean> => false;
  const isReady = (): Promise<boolean> => check().catch(() => false);
  const pages: Record<string, (response: ServerResponse) => Promise<void>> = {
    "/health/live": async (response) => sendHealth(response, true),
    "/health/ready": async (response) => sendHealth(response, await isReady()),
    "/metrics": async (response) => {
      const text = await registry.metrics();
      response
        .writeHead(200, { "Content-Type": registry.contentType, "Cache-Control": "no-store" })
        .end(text);
    },
  };
  const server = createServer((request, response) => {
    const page = Object.entries(pages).find(([path]) => path === request.url?.split("?")[0])?.[1];
    if (page === undefined) {
      response.writeHead(404, { "Content-Type": "application/json" }).end("{}");
      return;
    }
    page(response).catch(() => response.writeHead(500).end());
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    readyWhen(next) {
      check = next;
    },
    isReady,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function sendHealth(response: ServerResponse, good: boolean): void {
  response.writeHead(good ? 200 : 503, {
    "Content-Type": "application/json",
    "Cache-Control": "no-store",
    ...(good ? {} : { "Retry-After": RETRY_AFTER }),
  });
  response.end(JSON.stringify({ status: good ? "ok" : "unavailable" }));
}
