import type { Handler } from "./handler.ts";

/** Seconds. Long enough for a visit; after a new version, nobody looks at the old page for long. */
const MAX_AGE = 300;

const TYPES = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  json: "application/json; charset=utf-8",
};

/**
 * Answers with what is known from the start.
 *
 * @param policy the page's Content-Security-Policy
 */
export function content(type: keyof typeof TYPES, body: Buffer | string, policy: string): Handler {
  const bytes = Buffer.from(body);
  const headers = {
    "Content-Type": TYPES[type],
    "Content-Length": bytes.length,
    "Cache-Control": `public, max-age=${MAX_AGE}`,
    "Content-Security-Policy": policy,
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
  };
  return async (request, response) => {
    response.writeHead(200, headers);
    response.end(request.method === "HEAD" ? undefined : bytes);
  };
}
