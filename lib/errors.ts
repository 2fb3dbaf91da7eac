import { Errors } from "moleculer";

/** One thing wrong with the input. `path` leads from the action's params to the value. */
export interface Violation {
  path: (string | number)[];
  code: string;
  detail: string;
  /** Set by the gateway for what is no param of the action: where the client wrote it. */
  in?: "query" | "body";
}

/**
 * Every code that a caller can meet, with its HTTP status and title (RFC 9457).
 * Codes are promises: they are never renamed.
 */
export const problems = {
  invalid_json: { status: 400, title: "The body is not valid JSON" },
  invalid_request: { status: 400, title: "The request is malformed" },
  invalid_cursor: { status: 400, title: "The cursor does not belong to this list" },
  unauthenticated: { status: 401, title: "No credentials were sent" },
  invalid_token: { status: 401, title: "The access token is not valid" },
  invalid_passport: { status: 401, title: "The passport is not valid" },
  invalid_credentials: { status: 401, title: "The e-mail address or the password is wrong" },
  invalid_refresh_token: { status: 401, title: "The refresh token is not valid" },
  invalid_client: { status: 401, title: "The client credential is not valid" },
  wrong_password: { status: 403, title: "The password is wrong" },
  email_not_verified: { status: 403, title: "The e-mail address is not verified" },
  insufficient_scope: { status: 403, title: "The credentials do not cover this" },
  forbidden: { status: 403, title: "This is not allowed" },
  not_found: { status: 404, title: "Not found" },
  method_not_allowed: { status: 405, title: "The method is not allowed here" },
  last_admin: { status: 409, title: "There must be an administrator left" },
  idempotency_in_flight: { status: 409, title: "The first request with this key is still running" },
  email_taken: { status: 409, title: "The e-mail address is registered already" },
  since_expired: { status: 410, title: "Changes since then are not kept any more" },
  precondition_failed: { status: 412, title: "The task has changed meanwhile" },
  payload_too_large: { status: 413, title: "The body is too large" },
  unsupported_media_type: { status: 415, title: "The content type is not supported" },
  validation_failed: { status: 422, title: "A value is not valid" },
  idempotency_key_reused: { status: 422, title: "The key was used for another request" },
  invalid_mailed_token: { status: 422, title: "The mailed link is not valid" },
  not_applied: { status: 424, title: "Not done, because of another operation" },
  too_many_attempts: { status: 429, title: "Too many attempts" },
  too_many_requests: { status: 429, title: "Too many requests" },
  internal: { status: 500, title: "Something went wrong" },
  overloaded: { status: 503, title: "There is more to do than can be done at present" },
  unavailable: { status: 503, title: "The service is not available" },
} as const satisfies Record<string, { status: number; title: string }>;

export type ProblemCode = keyof typeof problems;

/**
 * The error to throw for a code. Moleculer carries `code` (status), `type` (the stable code) and `data` over
 * the bus but rebuilds the class, so whoever catches it asks `isProblem`, never `instanceof`.
 */
export function problem(code: ProblemCode, detail: string, data?: Record<string, unknown>): Error {
  const { status } = problems[code];
  return status < 500
    ? new Errors.MoleculerClientError(detail, status, code, data)
    : new Errors.MoleculerServerError(detail, status, code, data);
}

export const notFound = (what: string): Error => problem("not_found", `There is no such ${what}.`);

export const unavailable = (detail = "Please try again in a moment."): Error =>
  problem("unavailable", detail);

/** More than anyone reads. */
export const MAX_VIOLATIONS = 100;

/** 422 with everything that is wrong, at once, up to MAX_VIOLATIONS. */
export function validationFailed(all: Violation[]): Error {
  const violations = all.slice(0, MAX_VIOLATIONS);
  return problem("validation_failed", violations.map(({ detail }) => detail).join(" "), { violations });
}

/** Whether an error, from this process or another, carries this code. */
export const isProblem = (error: unknown, code: ProblemCode): boolean =>
  error instanceof Errors.MoleculerError && error.type === code;
