import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { problems } from "../../lib/errors.ts";
import { content as contentOf } from "./content.ts";
import type { Handler } from "./handler.ts";
import { toOpenApi30 } from "./openapi/openapi-3.0.ts";
import type { OpenApi } from "./openapi.ts";
import { help, problemCodes } from "./problem-help.ts";

/** Nothing from elsewhere, nothing inline. Swagger UI's style sheet has its icons in data URLs. */
const CONTENT_SECURITY_POLICY =
  "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'";

const content = (type: Parameters<typeof contentOf>[0], body: Buffer | string): Handler =>
  contentOf(type, body, CONTENT_SECURITY_POLICY);

const own = (name: string): Buffer => readFileSync(join(import.meta.dirname, name));

const require = createRequire(import.meta.url);

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

/** What `npm run openapi` wrote: the description of the route table. */
export const committedDocument: OpenApi = JSON.parse(own("openapi.json").toString());

/** The description of the API for programs, in both of OpenAPI's versions that are in use. */
export const documentPages = (document: OpenApi): { path: DocumentPath; handler: Handler }[] => [
  { path: "/openapi.json", handler: content("json", JSON.stringify(document, null, 2)) },
  { path: "/openapi-3.0.json", handler: content("json", JSON.stringify(toOpenApi30(document), null, 2)) },
];

export const documentPaths = ["/openapi.json", "/openapi-3.0.json"] as const;
type DocumentPath = (typeof documentPaths)[number];

/** The same for people. Every path is named: nothing else of a folder is served. */
export const docs: { path: string; handler: Handler }[] = [
  { path: "/docs", handler: content("html", own("docs/index.html")) },
  { path: "/docs/problems", handler: content("html", problemsPage) },
  { path: "/docs/init.js", handler: content("js", own("docs/init.js")) },
  { path: "/docs/style.css", handler: content("css", own("docs/style.css")) },
  { path: "/docs/icon.svg", handler: content("svg", own("docs/icon.svg")) },
  {
    path: "/docs/swagger-ui.css",
    handler: content("css", readFileSync(require.resolve("swagger-ui-dist/swagger-ui.css"))),
  },
  {
    path: "/docs/swagger-ui-bundle.js",
    handler: content("js", readFileSync(require.resolve("swagger-ui-dist/swagger-ui-bundle.js"))),
  },
];
