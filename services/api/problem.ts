import { randomUUID } from "node:crypto";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { IncomingRequest } from "moleculer-web";
import { problems, type Violation } from "../../lib/errors.ts";
import { entityTag } from "./conditions.ts";
import { acceptedTypes } from "./input.ts";
import type { Route } from "./routes.ts";

/** An error as a client sees it (RFC 9457). */
interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance: string;
  code: string;
  requestId: string;
  /** With `precondition_failed`: the version that there is. */
  currentVersion?: number;
  errors?: { pointer?: string; parameter?: string; code: string; detail: string }[];
}

/** What the gateway knows of the request that failed. */
export interface Failed {
  path: string;
  requestId: string;
  /** Names of the path's parameters: what is wrong with one of those is that nothing is there. */
  pathParams: string[];
  input: "body" | "query" | "none";
  /** The param that the body was handed over as; no part of a pointer into it. */
  bodyAs?: string;
}

export const pathOf = (request: IncomingMessage): string => (request.url ?? "/").split("?", 1)[0] ?? "/";

export const failedOf = (request: IncomingRequest, route?: Route): Failed => ({
  path: pathOf(request),
  requestId: request.$ctx?.requestID ?? randomUUID(),
  pathParams: (route?.path.match(/:\w+/g) ?? []).map((name) => name.slice(1)),
  input: route?.input ?? "none",
  ...(route?.bodyAs ? { bodyAs: route.bodyAs } : {}),
});

/** Moleculer's own errors, by their type; what is not here and has no code of ours is `internal`. */
const MOLECULER_TYPES: Record<string, keyof typeof problems> = {
  SERVICE_NOT_FOUND: "unavailable",
  SERVICE_NOT_AVAILABLE: "unavailable",
  REQUEST_TIMEOUT: "unavailable",
  REQUEST_REJECTED: "unavailable",
  REQUEST_SKIPPED: "unavailable",
  QUEUE_FULL: "unavailable",
  BAD_GATEWAY: "unavailable",
  GRACEFUL_STOP_TIMEOUT: "unavailable",
  // A service that does not accept the passport of a token that auth accepted: not the client's doing.
  invalid_passport: "unavailable",
  VALIDATION_ERROR: "validation_failed",
  // moleculer-web: no such route, or a path that is no valid UTF-8.
  NOT_FOUND: "not_found",
  UNABLE_DECODE_PARAM: "not_found",
};

const SERVER_ERROR_DETAIL = "The request could not be completed. Please try again in a moment.";
/** The same for what is missing, what is another person's and what could not exist. */
const NOT_FOUND_DETAIL = "There is nothing here, or it is not yours.";
/** Codes of RFC 6750, section 3.1. */
const CHALLENGED = ["invalid_token", "insufficient_scope"];
/** For what does not say itself after how long it may be tried again. */
const RETRY_AFTER_SECONDS = 2;

/** The one place where a failure, of whatever layer and process, becomes what the client is told. */
export function toProblem(error: unknown, failed: Failed): Problem {
  const { type, message, data, statusCode } = readError(error);
  const violations = readViolations(data);
  const misses = violations.some(
    ({ path, in: part }) => part === undefined && failed.pathParams.includes(String(path[0])),
  );
  const code = misses ? "not_found" : (MOLECULER_TYPES[type] ?? type);
  const known = Object.entries(problems).find(([name]) => name === code)?.[1];
  // A service that joined later brings codes of its own: its client errors are shown as they are.
  const own = statusCode >= 400 && statusCode < 500 ? { status: statusCode, title: message } : undefined;
  const { status, title } = known ?? own ?? problems.internal;
  const shownCode = known || own ? code.toLowerCase() : "internal";

  return {
    type: `/docs/problems#${shownCode}`,
    title,
    status,
    detail: detailOf(shownCode, status, withoutBodyParam(message, failed)),
    instance: failed.path,
    code: shownCode,
    requestId: failed.requestId,
    ...currentVersion(shownCode, data),
    ...(violations.length > 0 && !misses ? { errors: violations.map((each) => toItem(each, failed)) } : {}),
  };
}

function currentVersion(code: string, data: unknown): { currentVersion?: number } {
  const version =
    code === "precondition_failed" && data instanceof Object && "version" in data && data.version;
  return typeof version === "number" ? { currentVersion: version } : {};
}

const detailOf = (code: string, status: number, message: string): string =>
  code === "not_found" ? NOT_FOUND_DETAIL : status >= 500 ? SERVER_ERROR_DETAIL : message;

/** The param that the body went into is the gateway's affair: the client never wrote it. */
const withoutBodyParam = (detail: string, { bodyAs }: Failed): string =>
  bodyAs ? detail.replaceAll(`"${bodyAs}.`, '"') : detail;

function readError(error: unknown): { type: string; message: string; data: unknown; statusCode: number } {
  if (!(error instanceof Error))
    return { type: "internal", message: String(error), data: undefined, statusCode: 500 };
  return {
    type: "type" in error && typeof error.type === "string" ? error.type : "internal",
    message: error.message,
    data: "data" in error ? error.data : undefined,
    statusCode: "code" in error && typeof error.code === "number" ? error.code : 500,
  };
}

/** Seconds until it is worth trying again, for the statuses that say so; `data.retryAfter` of the problem, or ours. */
export function retryAfterOf(error: unknown, { status }: Pick<Problem, "status">): number | undefined {
  if (status !== 429 && status !== 503) return undefined;
  const { data } = readError(error);
  const own = typeof data === "object" && data !== null && "retryAfter" in data ? data.retryAfter : undefined;
  return typeof own === "number" && Number.isInteger(own) && own > 0 ? own : RETRY_AFTER_SECONDS;
}

/** Ours come as `{violations}`, Fastest Validator's as a list. */
function readViolations(data: unknown): Violation[] {
  if (typeof data !== "object" || data === null) return [];
  if ("violations" in data && Array.isArray(data.violations)) return data.violations;
  if (!Array.isArray(data)) return [];
  return data.map(({ field, type, message }) => ({
    path: String(field ?? "").split("."),
    code: String(type),
    detail: String(message),
  }));
}

function toItem({ path, code, detail, in: part }: Violation, failed: Failed) {
  if ((part ?? failed.input) === "query") {
    // Whoever found it, mostly a schema, knows of fields alone.
    const name = code === "unknown_field" ? "unknown_parameter" : code;
    return { parameter: String(path[0]), code: name, detail };
  }
  const inBody = part === undefined && path[0] === failed.bodyAs ? path.slice(1) : path;
  // RFC 6901: ~ and / are escaped.
  const pointer = inBody
    .map((step) => `/${String(step).replaceAll("~", "~0").replaceAll("/", "~1")}`)
    .join("");
  return { pointer, code, detail: withoutBodyParam(detail, failed) };
}

export function sendProblem(response: ServerResponse, problem: Problem, retryAfter?: number): void {
  // Too late for a clean answer: cutting the connection is the only honest one left.
  if (response.headersSent) {
    response.destroy();
    return;
  }
  const body = JSON.stringify(problem);
  const headers: Record<string, string> = {
    "Content-Type": "application/problem+json",
    "Content-Length": String(Buffer.byteLength(body)),
    "Cache-Control": "no-store",
  };
  if (problem.status === 401 || problem.code === "insufficient_scope")
    headers["WWW-Authenticate"] = challenge(problem.code);
  if (problem.status === 415) {
    const { method = "POST" } = response.req;
    headers[method === "PATCH" ? "Accept-Patch" : "Accept-Post"] = acceptedTypes(method).join(", ");
  }
  if (problem.currentVersion !== undefined) headers.ETag = entityTag(problem.currentVersion);
  if (retryAfter !== undefined) headers["Retry-After"] = String(retryAfter);
  response.writeHead(problem.status, headers);
  response.end(response.req.method === "HEAD" ? undefined : body);
}

/** RFC 6750, section 3: an error code only when there were credentials. */
const challenge = (code: string): string =>
  `Bearer realm="taskmesh"${CHALLENGED.includes(code) ? `, error="${code}"` : ""}`;

/** A result whose `results` say why some of them failed, with those reasons as problem documents. */
export function withProblems(result: unknown, failed: Failed): unknown {
  const { results } = Object(result);
  if (!Array.isArray(results)) return result;
  return { ...Object(result), results: results.map((each, index) => withProblem(each, index, failed)) };
}

function withProblem(each: object, index: number, failed: Failed): unknown {
  const { problem: reason } = Object(each);
  if (reason === undefined) return each;
  const { code, status, detail, data } = Object(reason);
  const violations = readViolations(data).map((found) => ({
    ...found,
    path: ["operations", index, ...found.path],
  }));
  const error = Object.assign(new Error(detail), {
    type: code,
    code: status,
    data: violations.length > 0 ? { violations } : data,
  });
  return { ...each, problem: toProblem(error, failed) };
}
