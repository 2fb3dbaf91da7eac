import { createServer } from "node:http";

/** Seconds a failing readiness probe suggests to wait. */
const RETRY_AFTER = "2";

interface OpsServer {
  /** Replaces the readiness check; until the first call, and after `draining`, the process is not ready. */
  readyWhen(check: () => Promise<boolean>): void;
  close(): Promise<void>;
}

/**
 * Health of one process, on a port of its own that opens before the broker connects: a process that waits for
 * RabbitMQ is alive, and must say so. `GET /health/live` → 200; `GET /health/ready` → 200 or 503.
 *
 * @throws the listen error, e.g. EADDRINUSE
 */
export async function openOpsServer(host: string, port: number): Promise<OpsServer> {
  let isReady = async (): Promise<boolean> => false;
  const server = createServer(async (request, response) => {
    const path = request.url?.split("?")[0];
    const known = path === "/health/live" || path === "/health/ready";
    const ready = path === "/health/ready" ? await isReady().catch(() => false) : true;
    const status = known ? (ready ? 200 : 503) : 404;
    response.writeHead(status, {
      "Content-Type": "application/json",
      "Cache-Control": "no-store",
      ...(status === 503 ? { "Retry-After": RETRY_AFTER } : {}),
    });
    response.end(known ? JSON.stringify({ status: ready ? "ok" : "unavailable" }) : "{}");
  });
  await new Promise<void>((resolve, reject) => {
    server.once("error", reject);
    server.listen(port, host, resolve);
  });
  return {
    readyWhen(check) {
      isReady = check;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
