import { randomUUID } from "node:crypto";
import {
  createServer,
  type IncomingMessage,
  type Server,
  type ServerResponse,
  STATUS_CODES,
} from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { ServiceSchema } from "moleculer";
import type { ApiSettingsSchema } from "moleculer-web";
import { isDraining } from "../../lib/draining.ts";
import { observeRequest } from "./observe.ts";

/** Milliseconds. Who is slow is cut off, so as not to hold sockets that others need. */
const timeouts = {
  /** Nothing sent, and nothing taken of what was sent: readers that stand still. Streams send more often. */
  timeout: 60_000,
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 65_000,
  /** How often Node looks for those that are too slow: its own 30 s would let them go on for as long again. */
  connectionsCheckingInterval: 1_000,
};
/** Requests that may wait on one connection: Node reads them all, however many. */
const MAX_WAITING = 100;
/** How long a stopping gateway waits for requests it has taken. */
const DRAIN_TIMEOUT = 8_000;

/**
 * Serves moleculer-web's handler from a server of our own: moleculer-web's leaves Node's timeouts as they are and
 * ends the process with a stack when the port is taken.
 */
export function httpServerMixin(
  host: string,
  port: number,
  options: typeof timeouts = timeouts,
): Partial<ServiceSchema<ApiSettingsSchema>> {
  let server: Server;
  return {
    settings: { server: false },

    async started() {
      server = createServer(options, (request, response) => {
        answers.set(request.socket, response);
        // A server must take the absolute form, too (RFC 9112, section 3.2.2).
        request.url = request.url?.replace(/^https?:\/\/[^/?#]*\/?/i, "/");
        whenFirst(request, response, () => {
          // A stopping gateway lets go of clients one by one, at the end of an answer.
          if (isDraining(this.broker)) response.shouldKeepAlive = false;
          const handle = (): void => this.httpHandler(request, response);
          observeRequest(request, response, { logger: this.logger, handle });
        });
      });
      server.timeout = options.timeout;
      server.on("clientError", refuseMalformed);
      await new Promise<void>((resolve, reject) => {
        server.once("error", reject);
        server.listen(port, host, resolve);
      });
    },

    async stopped() {
      if (!server?.listening) return;
      const drained = new Promise<void>((resolve) => server.close(() => resolve()));
      const cut = setTimeout(() => server.closeAllConnections(), DRAIN_TIMEOUT);
      server.closeIdleConnections();
      await drained;
      clearTimeout(cut);
    },
  };
}

/** Of each connection, how many requests have come that are not begun. */
const waiting = new WeakMap<Socket, number>();

/**
 * Begins a request when all answers before its own on that connection are out. Begun at once, its time would pass, and its
 * answer be kept, while the client takes those; and nobody would hear of the end of a connection before that. Who sends
 * more than may wait is cut off, and has to repeat what was not answered (RFC 9112, section 9.3.2).
 */
function whenFirst(request: IncomingMessage, response: ServerResponse, begin: () => void): void {
  if (response.socket) {
    begin();
    return;
  }
  const { socket } = request;
  const count = (waiting.get(socket) ?? 0) + 1;
  waiting.set(socket, count);
  if (count > MAX_WAITING) socket.destroy();
  response.once("socket", () => {
    waiting.set(socket, (waiting.get(socket) ?? 0) - 1);
    begin();
  });
}

/** Of each connection, the answer to the last request that could be read. */
const answers = new WeakMap<Duplex, ServerResponse>();

/** What can't be parsed as HTTP has no route; it gets a problem document all the same, after the answers to what came before. */
function refuseMalformed(error: NodeJS.ErrnoException, socket: Duplex): void {
  const before = answers.get(socket);
  if (before?.req.complete && !before.writableFinished) {
    before.once("finish", () => refuse(error, socket));
    return;
  }
  refuse(error, socket);
}

function refuse(error: NodeJS.ErrnoException, socket: Duplex): void {
  const before = answers.get(socket);
  // It had its answer without having been read to its end.
  const isAnswered = before?.writableFinished && !before.req.complete;
  if (!socket.writable || error.code === "ECONNRESET" || isAnswered) {
    socket.destroy();
    return;
  }
  const status = { HPE_HEADER_OVERFLOW: 431, ERR_HTTP_REQUEST_TIMEOUT: 408 }[error.code ?? ""] ?? 400;
  const requestId = randomUUID();
  const body = JSON.stringify({
    type: "/docs/problems#invalid_request",
    title: "The request is malformed",
    status,
    detail: STATUS_CODES[status],
    code: "invalid_request",
    requestId,
  });
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nContent-Type: application/problem+json\r\n` +
      `X-Request-Id: ${requestId}\r\nContent-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  );
}
