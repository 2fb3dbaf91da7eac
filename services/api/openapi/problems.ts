import type Joi from "joi";
import { type ProblemCode, problem, problems, validationFailed } from "../../../lib/errors.ts";
import { validate } from "../../../lib/validator.ts";
import { unknown } from "../json-object.ts";
import { toProblem } from "../problem.ts";
import { help, problemCodes } from "../problem-help.ts";
import type { Route } from "../routes.ts";
import { HEADERS_OF_ALL, headerRefs, headers, REQUEST_ID } from "./texts.ts";

const ALWAYS = [
  "invalid_request",
  "validation_failed",
  "too_many_requests",
  "internal",
  "unavailable",
] as const;
const WITH_CREDENTIALS = ["unauthenticated", "invalid_token"] as const;
const WITH_SCOPE = ["insufficient_scope"] as const;
const WITH_ROLE = ["forbidden"] as const;
const WITH_PATH_PARAMETER = ["not_found"] as const;
const CONDITIONAL = ["precondition_failed"] as const;
const REPEATABLE = ["idempotency_in_flight", "idempotency_key_reused"] as const;
/** HTTP gives a body on GET no meaning, so what the gateway says to one is left out. */
const WITH_BODY = ["invalid_json", "payload_too_large", "unsupported_media_type"] as const;

/** What decides, besides the route, which codes there can be. */
interface Judged {
  scope?: string;
  role?: string;
  errors?: readonly ProblemCode[];
}

/** Every code that a route can answer with: what any route can, what its inputs bring, what its action adds. */
export function codesOf(route: Route, { scope, role, errors = [] }: Judged): ProblemCode[] {
  const possible = new Set<ProblemCode>([
    ...ALWAYS,
    ...(route.access === "bearer" ? WITH_CREDENTIALS : []),
    ...(scope === undefined ? [] : WITH_SCOPE),
    ...(role === undefined ? [] : WITH_ROLE),
    ...(route.path.includes(":") ? WITH_PATH_PARAMETER : []),
    ...(route.conditional ? CONDITIONAL : []),
    ...(route.repeatable ? REPEATABLE : []),
    ...(route.method === "GET" ? [] : WITH_BODY),
    ...errors,
  ]);
  return problemCodes.filter((code) => possible.has(code));
}

export type ProblemResponses = ReturnType<typeof createProblemResponses>;

/**
 * Collects the responses that routes have in common, so that each is written once.
 *
 * @param known those that there are already
 */
export function createProblemResponses(known: Record<string, unknown> = {}) {
  const components: Record<string, unknown> = { ...known };
  const examplesOf = (codes: ProblemCode[]) =>
    Object.fromEntries(codes.map((code) => [code, problemExample(code)]));
  return {
    components,
    examplesOf,

    /** What a route answers with for these codes, which have one status. */
    share(codes: ProblemCode[], { method }: Route): { $ref: string } {
      const added = headersOf(codes, method);
      // 415 answers differ by method in the header that lists what is taken.
      const name = codes.includes("unsupported_media_type") ? [...codes, ...Object.keys(added)] : codes;
      const examples = examplesOf(codes);
      components[name.join(".")] = problemResponse(codes, examples, added);
      return { $ref: `#/components/responses/${name.join(".")}` };
    },
  };
}

/** Headers that the gateway adds to problems with these codes. */
function headersOf(codes: ProblemCode[], method: string): Record<string, object> {
  const statuses = codes.map((code) => problems[code].status);
  if (statuses.includes(401) || codes.join() === "insufficient_scope")
    return headerRefs(["WWW-Authenticate"]);
  if (codes.includes("insufficient_scope"))
    return { "WWW-Authenticate": { ...headers["WWW-Authenticate"], required: false } };
  if (statuses.includes(415)) return headerRefs([method === "PATCH" ? "Accept-Patch" : "Accept-Post"]);
  if (codes.includes("precondition_failed")) return headerRefs(["ETag"]);
  return statuses.includes(429) || statuses.includes(503) ? headerRefs(["Retry-After"]) : {};
}

/** One response for all codes of a status, each with its example. */
export function problemResponse(
  codes: ProblemCode[],
  examples: Record<string, unknown>,
  added: Record<string, object> = {},
) {
  const meanings = codes.map((code) => `${problems[code].title} ([\`${code}\`](/docs/problems#${code})).`);
  return {
    description: meanings.join("\n\n"),
    headers: { ...headerRefs(HEADERS_OF_ALL), ...added },
    content: {
      "application/problem+json": {
        schema: {
          allOf: [{ $ref: "#/components/schemas/Problem" }, { properties: { code: { enum: codes } } }],
        },
        examples,
      },
    },
  };
}

/** Made by what makes the real ones. */
function problemExample(code: ProblemCode) {
  const { detail, path } = help[code];
  const known = { path, requestId: REQUEST_ID, pathParams: [], input: "none" as const };
  const data = code === "precondition_failed" ? { version: 4 } : undefined;
  return { summary: problems[code].title, value: toProblem(problem(code, detail, data), known) };
}

/**
 * What a route says when the first name in its input is misspelt.
 *
 * @param path with values in the place of its parameters
 * @param input of the kind that the route reads, without a mistake
 */
export function validationExample(
  route: Route,
  params: Joi.ObjectSchema,
  { path, input }: { path: Record<string, unknown>; input: Record<string, unknown> },
) {
  const [first = "verbose", ...others] = Object.keys(input);
  const misspelt = first + first.slice(-1);
  const kept = others.map((name) => [name, input[name]]);
  const wrong = Object.fromEntries([[misspelt, input[first]], ...kept]);
  const value = toProblem(errorOf(route, params, path, wrong), {
    path: route.path.replace(/:(\w+)/g, (_, name: string) => String(path[name])),
    requestId: REQUEST_ID,
    pathParams: [],
    input: route.input,
    ...(route.bodyAs ? { bodyAs: route.bodyAs } : {}),
  });
  return { summary: problems.validation_failed.title, value };
}

function errorOf(route: Route, params: Joi.ObjectSchema, path: object, wrong: object): unknown {
  if (route.input === "none") {
    return validationFailed(
      Object.keys(wrong)
        .slice(0, 1)
        .map((name) => unknown(name, "query")),
    );
  }
  try {
    return validate(params, { ...path, ...(route.bodyAs ? { [route.bodyAs]: wrong } : wrong) });
  } catch (error) {
    return error;
  }
}
