import type { IncomingMessage, ServerResponse } from "node:http";
import type { Context } from "moleculer";
import type { GatewayResponse, IncomingRequest } from "moleculer-web";
import { v7 as uuidv7 } from "uuid";
import { isIdempotencyKey } from "../../lib/action.ts";
import { networkOf } from "../../lib/address.ts";
import type { ResultOf } from "../../lib/bus.ts";
import { problem } from "../../lib/errors.ts";
import type { WaitForThem } from "../../lib/fair-queue.ts";
import { busOf, type Call, createCalls } from "./calls.ts";
import { clientAddress } from "./client-address.ts";
import { readConditions } from "./conditions.ts";
import { readLastEventId, STREAM_HEADERS } from "./event-format.ts";
import type { EventStreams } from "./event-streams.ts";
import { acceptedTypes, bytesToCome, readBody, readParams } from "./input.ts";
import { preferredLanguage } from "./languages.ts";
import type { LargeBodies } from "./large-bodies.ts";
import type { RateLimits } from "./rate-limit.ts";
import { respond } from "./respond.ts";
import type { Route } from "./routes.ts";
import type { Turns } from "./turns.ts";

export type Handler = (request: IncomingRequest, response: GatewayResponse) => Promise<void>;

export interface HandlerOptions {
  /** How many proxies' `X-Forwarded-For` entries are believed. */
  trustedProxies: number;
  limits: RateLimits;
  largeBodies: LargeBodies;
  turns: Turns;
  streams: EventStreams;
}

/** What happens to a request once its route is known, from top to bottom. */
export function createHandler(route: Route, options: HandlerOptions): Handler {
  const { trustedProxies, limits, largeBodies, streams, turns } = options;
  return async (request, response) => {
    const ctx: Context<unknown, { replayed?: unknown }> = request.$ctx;
    const { call, notCounting } = createCalls(busOf(ctx.broker, (...call) => ctx.call(...call)));

    const client = {
      address: clientAddress(request, trustedProxies),
      userAgent: request.headers["user-agent"],
      // Of whoever registers.
      ...(route.access === "open" ? { locale: preferredLanguage(request) } : {}),
    };
    const caller = route.access === "bearer" ? await authenticate(request, call) : undefined;
    if (caller) await limits.countUser(caller.user.id, response);
    else await limits.countAddress(request, response, route);
    const conditions = route.conditional ? readConditions(request) : {};
    const delivery = deliveryOf(route, request);
    const resumed = route.stream ? readLastEventId(request) : {};
    const meta = { client, passport: caller?.passport, ...delivery };
    const ask = async (body: Buffer) => {
      const params = readParams(route, { url: request.url ?? "", body, path: pathParams(request) });
      return call({
        action: route.text ?? route.action,
        params: { ...params, ...conditions, ...resumed },
        meta,
        again: route.again ?? (route.method === "GET" || route.repeatable ? "always" : "never"),
      });
    };
    const answer = async (waitForThem: WaitForThem) => {
      const incoming = {
        sender: caller?.user.id ?? networkOf(client.address ?? ""),
        bytes: bytesToCome(request),
        read: () => waitForThem(() => notCounting(() => readBody(route.method, request, response))),
      };
      const result = await largeBodies.take(incoming, ask);
      if (ctx.meta.replayed === true && "idempotencyKey" in delivery)
        response.setHeader("Idempotency-Replayed", "true");
      if (route.stream && caller) follow(request, response, caller, Number(Object(result).seq));
      else respond(route, request, response, result);
    };
    if (!caller || route.stream) return answer((theirs) => theirs());
    const kind = route.method === "GET" ? "read" : "write";
    return turns.inTurn({ userId: caller.user.id, kind }, response, answer);
  };

  function follow(
    request: IncomingRequest,
    response: ServerResponse,
    reader: Caller,
    position: number,
  ): void {
    if (request.method === "HEAD") response.writeHead(200, STREAM_HEADERS).end();
    else {
      const { requestID } = request.$ctx;
      streams.open(response, {
        reader,
        token: bearerToken(request),
        position,
        ...(requestID ? { requestID } : {}),
      });
    }
  }
}

/** Who a request is for, as auth says. */
type Caller = ResultOf<"auth.verify">;

/** At every request, so that a session that ended is felt at once. */
async function authenticate(request: IncomingMessage, call: <T>(call: Call) => Promise<T>): Promise<Caller> {
  return call({ action: "auth.verify", params: { token: bearerToken(request) }, meta: {}, again: "always" });
}

/** RFC 6750, section 2.1: the header, once, and nothing but the header. */
function bearerToken(request: IncomingMessage): string {
  const sent = request.headersDistinct.authorization ?? [];
  const token =
    sent.length === 1 ? /^Bearer +([A-Za-z0-9\-._~+/]+=*) *$/i.exec(sent[0] ?? "")?.[1] : undefined;
  if (token === undefined) {
    throw problem("unauthenticated", "Send an access token: Authorization: Bearer <token>.");
  }
  // Longer than any of ours: no use asking auth.
  if (token.length > 4_096)
    throw problem("invalid_token", "The access token is invalid, expired or revoked.");
  return token;
}

type Delivery = { idempotencyKey: string } | { operationId: string } | Record<string, never>;

/** @throws invalid_request */
function deliveryOf(route: Route, request: IncomingMessage): Delivery {
  if (route.method === "GET") return {};
  return route.repeatable ? readDelivery(request) : newOperation();
}

const newOperation = (): Delivery => ({ operationId: uuidv7() });

/**
 * What tells a repetition of this write: by the client's own key, or else by the gateway's.
 *
 * @throws invalid_request
 */
function readDelivery(request: IncomingMessage): Delivery {
  const sent = request.headersDistinct["idempotency-key"];
  if (sent === undefined) return newOperation();
  const [idempotencyKey = ""] = sent;
  if (sent.length > 1 || !isIdempotencyKey(idempotencyKey)) {
    throw problem("invalid_request", "Idempotency-Key must be one value of 1 to 255 visible characters.");
  }
  return { idempotencyKey };
}

/** moleculer-web has matched and decoded them. */
const pathParams = (request: IncomingRequest): Record<string, string> => request.$params.params;

/** Answers every method that a path does not have: OPTIONS with what it has, others with 405. */
export function createMethodFallback(methods: string[]): Handler {
  const allow = [...new Set(methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method])))];
  return async (request, response) => {
    response.setHeader("Allow", [...allow, "OPTIONS"].join(", "));
    if (request.method !== "OPTIONS")
      throw problem("method_not_allowed", `Allowed here: ${allow.join(", ")}.`);
    if (allow.includes("POST")) response.setHeader("Accept-Post", acceptedTypes("POST").join(", "));
    if (allow.includes("PATCH")) response.setHeader("Accept-Patch", acceptedTypes("PATCH").join(", "));
    response.writeHead(204).end();
  };
}
