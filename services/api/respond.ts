import type { ServerResponse } from "node:http";
import type { IncomingRequest } from "moleculer-web";
import { entityTag, isFresh } from "./conditions.ts";
import { failedOf, withProblems } from "./problem.ts";
import type { Route } from "./routes.ts";

/** Answers with an action's result, as its route has it. */
export function respond(
  route: Route,
  request: IncomingRequest,
  response: ServerResponse,
  result: unknown,
): void {
  const fields: Record<string, unknown> = typeof result === "object" && result !== null ? { ...result } : {};
  response.setHeader(
    "Cache-Control",
    route.maxAge === undefined ? "no-store" : `public, max-age=${route.maxAge}`,
  );
  if (route.location) {
    response.setHeader(
      "Location",
      route.location.replace(/:(\w+)/g, (_, name: string) => String(fields[name])),
    );
  }
  if (route.paged && typeof fields.nextCursor === "string") {
    response.setHeader("Link", `<${nextPage(request.originalUrl, fields.nextCursor)}>; rel="next"`);
  }
  if (route.tagged && typeof fields.version === "number") {
    const tag = entityTag(fields.version);
    response.setHeader("ETag", tag);
    if (route.method === "GET" && isFresh(request, tag)) {
      response.writeHead(304).end();
      return;
    }
  }
  if (route.status === 204) {
    response.writeHead(204).end();
    return;
  }
  const body =
    typeof fields.text === "string" && route.text
      ? fields.text
      : JSON.stringify(route.partial ? withProblems(result, failedOf(request, route)) : result);
  response.writeHead(route.status, {
    "Content-Type": "application/json; charset=utf-8",
    "Content-Length": Buffer.byteLength(body),
  });
  response.end(request.method === "HEAD" ? undefined : body);
}

function nextPage(url: string, cursor: string): string {
  const start = url.indexOf("?");
  const path = start < 0 ? url : url.slice(0, start);
  const query = new URLSearchParams(start < 0 ? "" : url.slice(start + 1));
  query.set("cursor", cursor);
  return `${path}?${query}`;
}
