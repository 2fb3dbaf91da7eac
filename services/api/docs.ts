import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { problems } from "../../lib/errors.ts";
import type { Handler } from "./handler.ts";
import { help, problemCodes } from "./problem-help.ts";

/** Nothing from elsewhere, nothing inline. Swagger UI's style sheet has its icons in data URLs. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

/** Seconds. Long enough for a visit; after a new version, nobody looks at the old page for long. */
const MAX_AGE = 300;

const TYPES = {
  html: "text/html; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  css: "text/css; charset=utf-8",
  svg: "image/svg+xml",
  json: "application/json; charset=utf-8",
};

/** Answers with what is known from the start. */
function content(type: keyof typeof TYPES, body: Buffer | string): Handler {
  const bytes = Buffer.from(body);
  const headers = {
    "Content-Type": TYPES[type],
    "Content-Length": bytes.length,
    "Cache-Control": `public, max-age=${MAX_AGE}`,
    "Content-Security-Policy": CONTENT_SECURITY_POLICY,
    "X-Content-Type-Options": "nosniff",
  };
  return async (request, response) => {
    response.writeHead(200, headers);
    response.end(request.method === "HEAD" ? undefined : bytes);
  };
}

const own = (name: string): Buffer => readFileSync(join(import.meta.dirname, name));

const require = createRequire(import.meta.url);
const swagger = (name: string): Buffer => readFileSync(require.resolve(`swagger-ui-dist/${name}`));

/** One section a code, by the anchor that the `type` of problem documents leads to. */
const problemSections = problemCodes.map(
  (code) => `    <section id="${code}">
      <h2><a href="#${code}">${code}</a><span>${problems[code].status} ${problems[code].title}</span></h2>
      <p>${help[code].advice}</p>
    </section>`,
);

const problemsPage = own("docs/problems.html")
  .toString()
  .replace("<!-- problems -->", () => problemSections.join("\n"));

/** The description of the API, for programs and for people. Every path is named: nothing else of a folder is served. */
export const docs: { path: string; handler: Handler }[] = [
  { path: "/openapi.json", handler: content("json", own("openapi.json")) },
  { path: "/docs", handler: content("html", own("docs/index.html")) },
  { path: "/docs/problems", handler: content("html", problemsPage) },
  { path: "/docs/init.js", handler: content("js", own("docs/init.js")) },
  { path: "/docs/style.css", handler: content("css", own("docs/style.css")) },
  { path: "/docs/icon.svg", handler: content("svg", own("docs/icon.svg")) },
  { path: "/docs/swagger-ui.css", handler: content("css", swagger("swagger-ui.css")) },
  { path: "/docs/swagger-ui-bundle.js", handler: content("js", swagger("swagger-ui-bundle.js")) },
];
