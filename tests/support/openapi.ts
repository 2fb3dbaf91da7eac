import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Ajv2020, type ValidateFunction } from "ajv/dist/2020.js";
import addFormats from "ajv-formats";

interface Response {
  headers?: Record<string, { $ref?: string; required?: boolean }>;
  content?: Record<string, { schema: object }>;
}

interface Document {
  paths: Record<string, Record<string, { responses: Record<string, Response & { $ref?: string }> }>>;
  components: { responses: Record<string, Response>; headers: Record<string, { required?: boolean }> };
}

interface Answer {
  status: number;
  headers: Headers;
  /** Parsed when it is JSON, else text. */
  body: unknown;
}

const document: Document = JSON.parse(
  readFileSync(join(import.meta.dirname, "..", "..", "services", "api", "openapi.json"), "utf8"),
);
const ajv = new Ajv2020({ allErrors: true, strict: false });
addFormats.default(ajv);

/** Paths without parameters first: they win over a template that would match them too. */
const paths = Object.entries(document.paths)
  .map(([template, operations]) => ({
    template,
    operations,
    pattern: new RegExp(`^${template.replaceAll(".", "\\.").replaceAll(/\{\w+\}/g, "[^/]+")}/*$`, "i"),
  }))
  .sort((a, b) => a.template.split("{").length - b.template.split("{").length);

/**
 * Holds an answer of the gateway against the OpenAPI document: its status must be documented for the operation, and
 * its headers, content type and body must be what the document says. Of a path that is not in the document, only
 * errors are looked at; those are problem documents everywhere, and so are 405s.
 *
 * @param path with or without a query, concrete or a template
 * @throws an error that says what was answered and what is wrong with it
 */
export function assertDocumented(method: string, path: string, answer: Answer): void {
  const wrong = (reason: string): Error =>
    new Error(`${method} ${path} answered ${answer.status}, ${reason}:\n${JSON.stringify(answer.body)}`);

  const [pathname = ""] = path.split("?", 1);
  const operations = paths.find(({ pattern }) => pattern.test(pathname))?.operations;
  const operation = operations?.[method === "HEAD" ? "get" : method.toLowerCase()];
  if (!operation) {
    const complaint = answer.status < 400 ? undefined : complain(answer, method, PROBLEM);
    if (complaint) throw wrong(complaint);
    return;
  }
  const documented = operation.responses[answer.status];
  if (!documented) throw wrong("which is not documented");
  const complaint = complain(answer, method, resolve(documented));
  if (complaint) throw wrong(complaint);
}

const PROBLEM: Response = {
  headers: { "X-Request-Id": { $ref: "#/components/headers/X-Request-Id" } },
  content: { "application/problem+json": { schema: { $ref: "#/components/schemas/Problem" } } },
};

const resolve = ({ $ref, ...response }: Response & { $ref?: string }): Response =>
  $ref === undefined ? response : (document.components.responses[nameOf($ref)] ?? response);

const nameOf = ($ref: string): string => $ref.split("/").at(-1) ?? "";

/** What is wrong with an answer, or undefined. */
function complain(
  answer: Answer,
  method: string,
  { headers = {}, content = {} }: Response,
): string | undefined {
  const missing = Object.entries(headers)
    .filter(([, { $ref, required }]) =>
      $ref ? document.components.headers[nameOf($ref)]?.required : required,
    )
    .map(([name]) => name)
    .filter((name) => !answer.headers.has(name));
  if (missing.length > 0) return `without the header ${missing.join(", ")}`;

  const sent = (answer.headers.get("Content-Type") ?? "").split(";", 1)[0] ?? "";
  const empty = answer.body === "" || answer.body === undefined || answer.body === null;
  if (Object.keys(content).length === 0) return empty ? undefined : "with a body, and there should be none";
  const media = content[sent];
  if (!media) return `as ${sent || "no type"}, and it should be ${Object.keys(content).join(" or ")}`;
  if (method === "HEAD") return empty ? undefined : "with a body, to HEAD";

  const validate = validatorOf(media.schema);
  if (!validate(answer.body))
    return `with a body that is not as documented: ${ajv.errorsText(validate.errors)}`;
  return sent === "application/problem+json" ? complainOfProblem(answer) : undefined;
}

function complainOfProblem({ status, headers, body }: Answer): string | undefined {
  const problem: { status?: unknown; requestId?: unknown } = { ...Object(body) };
  if (problem.status !== status) return `and its body says ${problem.status}`;
  return problem.requestId === headers.get("X-Request-Id") ? undefined : "and its ids of the request differ";
}

const validators = new Map<object, ValidateFunction>();

/** Compiled once each, when first met: most test files meet few. */
function validatorOf(schema: object): ValidateFunction {
  const known = validators.get(schema);
  if (known) return known;
  const compiled = ajv.compile({ allOf: [schema], components: document.components });
  validators.set(schema, compiled);
  return compiled;
}
