import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import Joi from "joi";
import { problems } from "../lib/errors.ts";
import { extendOpenApi, type OpenApi } from "../services/api/openapi.ts";
import { type Route, routes } from "../services/api/routes.ts";
import { assertDocumented } from "./support/openapi.ts";

const ROOT = join(__dirname, "..");
const FILE = join(ROOT, "services", "api", "openapi.json");
const document: {
  paths: Record<string, Record<string, Operation>>;
  components: { responses: Record<string, Response> };
} = JSON.parse(readFileSync(FILE, "utf8"));

type Response = { content?: Record<string, object> };
type Operation = {
  operationId: string;
  security: object[];
  requestBody?: { content: Record<string, object> };
  responses: Record<string, Response & { $ref?: string }>;
};
const operations: { method: string; path: string; operation: Operation }[] = Object.entries(
  document.paths,
).flatMap(([path, item]) =>
  Object.entries(item).map(([method, operation]) => ({ method: method.toUpperCase(), path, operation })),
);

const nameOf = ($ref: string): string => $ref.split("/").at(-1) ?? "";

describe("the OpenAPI document", () => {
  test("is what the code says, and neither Redocly nor Spectral finds anything in it", () => {
    // A process of its own: the linters are modules of a kind that Jest can't load.
    const { status, stderr } = spawnSync(
      join(ROOT, "node_modules", ".bin", "node"),
      ["scripts/openapi.ts", "--check"],
      { cwd: ROOT, encoding: "utf8" },
    );
    expect(stderr).toBe("");
    expect(status).toBe(0);
  });

  test("has every route of the table and nothing else", () => {
    const inTable = routes.map(({ method, path, action }) => [
      `${method} ${path.replace(/:(\w+)/g, "{$1}")}`,
      action,
    ]);
    const inDocument = operations.map(({ method, path, operation }) => [
      `${method} ${path}`,
      operation.operationId,
    ]);
    expect(inDocument.sort()).toEqual(inTable.sort());
  });

  test("asks for a bearer token exactly where the table does", () => {
    const closed = routes.filter(({ access }) => access === "bearer").map(({ action }) => action);
    const secured = operations.filter(({ operation }) => operation.security.length > 0);
    expect(secured.map(({ operation }) => operation.operationId).sort()).toEqual(closed.sort());
  });

  test("has an example of every request and of every response with a body", () => {
    const contents = operations.flatMap(({ operation }) => [
      ...Object.values(operation.requestBody?.content ?? {}),
      ...Object.values(operation.responses).flatMap(({ $ref, content }) =>
        Object.values(($ref ? document.components.responses[nameOf($ref)]?.content : content) ?? {}),
      ),
    ]);
    expect(contents.length).toBeGreaterThan(routes.length * 5);
    for (const content of contents) {
      expect("example" in content || "examples" in content).toBe(true);
    }
  });

  test("leads to an explanation of every code it mentions", () => {
    const mentioned = JSON.stringify(document).matchAll(/\/docs\/problems#(\w+)/g);
    const codes = new Set([...mentioned].map(([, code]) => code));
    expect(codes.size).toBeGreaterThan(10);
    for (const code of codes) expect(Object.keys(problems)).toContain(code);
  });
});

describe("the document with routes that joined later", () => {
  const base: OpenApi = JSON.parse(readFileSync(FILE, "utf8"));
  const buildRoute = (fields: Partial<Route>): Route => ({
    method: "GET",
    path: "/notes",
    action: "notes.list",
    access: "bearer",
    input: "none",
    status: 200,
    ...fields,
  });
  const operationAt = (extended: OpenApi, path: string, method: string): Record<string, unknown> =>
    Object(extended.paths[path]?.[method]);

  test("is the same where none did", () => {
    expect(extendOpenApi(base, [], {})).toEqual(base);
  });

  test("keeps everything, and describes a route by its contract", () => {
    const contract = {
      summary: "List your notes",
      scope: "tasks:read",
      params: Joi.object({ about: Joi.string().example("oat milk") }),
      result: Joi.object({ items: Joi.array().items(Joi.string().example("A note")).required() }).meta({
        title: "Notes",
      }),
    };
    const extended = extendOpenApi(base, [buildRoute({ input: "query" })], { notes: { list: contract } });
    expect(extended.paths).toMatchObject(base.paths);
    expect(extended.components).toMatchObject(base.components);
    expect(extended.tags.at(-1)).toMatchObject({ name: "notes" });
    expect(operationAt(extended, "/notes", "get")).toMatchObject({
      operationId: "notes.list",
      summary: "List your notes",
      tags: ["notes"],
      security: [{ bearer: ["tasks:read"] }],
      parameters: [{ name: "about", in: "query", schema: { type: "string" } }],
      responses: {
        200: { content: { "application/json": { example: { items: ["A note"] } } } },
        401: { $ref: expect.any(String) },
      },
    });
    expect(extended.components.schemas).toHaveProperty("Notes");
  });

  test("names a route without a contract, with what the table says of it", () => {
    const added = buildRoute({ method: "PATCH", path: "/notes/:id", input: "body", action: "notes.change" });
    const operation = operationAt(extendOpenApi(base, [added], {}), "/notes/{id}", "patch");
    expect(operation).toMatchObject({
      summary: "Calls notes.change",
      security: [{ bearer: [] }],
      parameters: [{ name: "id", in: "path", required: true }],
      requestBody: { content: { "application/merge-patch+json": { schema: { type: "object" } } } },
    });
    expect(Object.keys(Object(operation.responses))).toEqual(
      expect.arrayContaining(["200", "400", "401", "404", "413", "415", "422", "429", "500", "503"]),
    );
  });

  test("gives two routes of one action two ids, and a path of the table one more method", () => {
    const added = [
      buildRoute({ path: "/today", action: "tasks.list" }),
      buildRoute({ method: "PUT", path: "/tasks" }),
    ];
    const extended = extendOpenApi(base, added, {});
    expect(operationAt(extended, "/today", "get").operationId).toBe("get:/today");
    expect(Object.keys(extended.paths["/tasks"] ?? {}).sort()).toEqual(["get", "post", "put"]);
  });
});

describe("assertDocumented", () => {
  const ID = "0d3b7a";
  const answer = (status: number, body: unknown, type = "application/problem+json") => ({
    status,
    body,
    headers: new Headers({ "Content-Type": type, "X-Request-Id": ID, "Cache-Control": "no-store" }),
  });
  const notFound = {
    type: "/docs/problems#not_found",
    title: "Not found",
    status: 404,
    detail: "There is nothing here, or it is not yours.",
    instance: "/tasks/1",
    code: "not_found",
    requestId: ID,
  };
  const page = { items: [], nextCursor: null };
  const JSON_TYPE = "application/json; charset=utf-8";

  test("lets pass what is as documented", () => {
    assertDocumented("GET", "/tasks?limit=5", answer(200, page, JSON_TYPE));
    assertDocumented("HEAD", "/tasks", answer(200, "", JSON_TYPE));
    assertDocumented("GET", "/tasks/1", answer(404, notFound));
    assertDocumented("GET", "/tasks/{id}", answer(404, notFound));
    assertDocumented("DELETE", "/tasks/1", answer(204, "", ""));
    assertDocumented("OPTIONS", "/tasks", answer(204, "", ""));
    assertDocumented("PUT", "/tasks", answer(405, { ...notFound, status: 405, code: "method_not_allowed" }));
    assertDocumented("GET", "/nowhere", answer(404, notFound));
  });

  test.each<[string, string, string, ReturnType<typeof answer>, RegExp]>([
    ["an undocumented status", "GET", "/tasks", answer(418, notFound), /418, which is not documented/],
    ["a missing field", "GET", "/tasks", answer(200, { items: [] }, JSON_TYPE), /nextCursor/],
    ["a field too many", "GET", "/tasks", answer(200, { ...page, sql: "SELECT 1" }, JSON_TYPE), /additional/],
    ["another content type", "GET", "/tasks", answer(200, "[]", "text/html"), /text\/html/],
    ["a body with 204", "DELETE", "/tasks/1", answer(204, {}, JSON_TYPE), /should be none/],
    ["a body to HEAD", "HEAD", "/tasks", answer(200, page, JSON_TYPE), /HEAD/],
    ["an undocumented code", "GET", "/tasks/1", answer(404, { ...notFound, code: "gone" }), /code/],
    ["a status that differs", "GET", "/tasks/1", answer(404, { ...notFound, status: 410 }), /says 410/],
    ["another request's id", "GET", "/tasks/1", answer(404, { ...notFound, requestId: "x" }), /ids/],
    ["an error that is no problem", "GET", "/nowhere", answer(404, "Not found", "text/plain"), /text\/plain/],
    ["a missing header", "GET", "/tasks", { ...answer(200, page), headers: new Headers() }, /X-Request-Id/],
  ])("refuses %s", (_what, method, path, given, message) => {
    expect(() => assertDocumented(method, path, given)).toThrow(message);
  });
});
