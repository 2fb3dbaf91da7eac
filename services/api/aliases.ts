import type { ServerResponse } from "node:http";
import type { GatewayResponse, IncomingRequest } from "moleculer-web";
import { createHandler, createMethodFallback, type Handler, type HandlerOptions } from "./handler.ts";
import { throttledRequests } from "./metrics.ts";
import { nameRoute } from "./observe.ts";
import type { Page } from "./pages.ts";
import { failedOf, retryAfterOf, sendProblem, toProblem } from "./problem.ts";
import type { Route } from "./routes.ts";

type Alias = (request: IncomingRequest, response: GatewayResponse) => void;

interface AliasOptions extends HandlerOptions {
  routes: readonly Route[];
  pages: readonly Page[];
}

/**
 * What moleculer-web gets: the route table, HEAD wherever there is GET, and an answer for every other method. `fail` turns
 * whatever goes wrong outside of them into a problem document, too.
 */
export function createAliases({ routes, pages, ...options }: AliasOptions) {
  const { limits } = options;

  const named =
    (path: string, handler: Alias): Alias =>
    (request, response) => {
      nameRoute(request, path);
      handler(request, response);
    };

  const countedByAddress =
    (handler: Handler): Handler =>
    async (request, response) => {
      await limits.countAddress(request, response);
      await handler(request, response);
    };

  /** Runs a handler and turns whatever it throws into a problem document. */
  const guarded =
    (route: Route | undefined, fallback: Handler, handler: Handler): Alias =>
    (request, response) => {
      // moleculer-web finds the alias of the method that a preflight asks about.
      const run = request.method === "OPTIONS" ? fallback : handler;
      run(request, response).catch((error: unknown) => fail(request, response, error, route));
    };

  /** Whatever failed before it was counted is counted here: no such route, or no valid credentials. */
  function fail(request: IncomingRequest, response: ServerResponse, error: unknown, route?: Route): void {
    limits.countFailed(request, response).then(
      () => answer(request, response, error, route),
      (tooMany: unknown) => answer(request, response, tooMany, route),
    );
  }

  const paths = Map.groupBy(
    [...routes, ...pages.map((page) => ({ ...page, method: "GET" as const }))],
    ({ path }) => path,
  );
  const table: [string, Alias][] = [];
  for (const [path, entries] of paths) {
    const fallback = countedByAddress(createMethodFallback(entries.map(({ method }) => method)));
    const add = (method: string, handler: Handler, route?: Route): void => {
      const alias = named(path, guarded(route, fallback, handler));
      table.push([`${method} ${path}`, alias]);
      if (method === "GET") table.push([`HEAD ${path}`, alias]);
    };
    for (const entry of entries) {
      if ("action" in entry) add(entry.method, createHandler(entry, options), entry);
      else add(entry.method, countedByAddress(entry.handler));
    }
    add("*", fallback);
  }
  return { aliases: Object.fromEntries(table), fail };
}

function answer(request: IncomingRequest, response: ServerResponse, error: unknown, route?: Route): void {
  const found = toProblem(error, failedOf(request, route));
  if (found.status >= 500) {
    request.$service.logger.error({ code: found.code, err: error }, "request failed");
  }
  // Of sign-ins, by auth; the gateway's own limits count themselves.
  if (found.code === "too_many_attempts") throttledRequests.inc({ policy: "attempts" });
  sendProblem(response, found, retryAfterOf(error, found));
}
