import { accountPages } from "./account-pages.ts";
import { docs } from "./docs.ts";
import type { Handler } from "./handler.ts";

/** Something the gateway answers by itself, by GET and HEAD. */
export interface Page {
  path: string;
  handler: Handler;
}

const json = (status: number, body: object): Handler => {
  const text = JSON.stringify(body);
  return async (request, response) => {
    response.writeHead(status, {
      "Content-Type": "application/json; charset=utf-8",
      "Content-Length": Buffer.byteLength(text),
      "Cache-Control": "no-store",
    });
    response.end(request.method === "HEAD" ? undefined : text);
  };
};

const live = json(200, { status: "ok" });

/** `unavailable` (503) until auth and tasks answer. */
const ready: Handler = async (request, response) => {
  await request.$ctx.call("api.ready");
  await live(request, response);
};

const home: Handler = async (_request, response) => {
  response.writeHead(302, { Location: "/docs", "Content-Length": 0 }).end();
};

export const pages: Page[] = [
  { path: "/", handler: home },
  { path: "/health/live", handler: live },
  { path: "/health/ready", handler: ready },
  ...docs,
  ...accountPages,
];
