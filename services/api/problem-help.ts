import { type ProblemCode, problems } from "../../lib/errors.ts";

interface Help {
  /** What a client can do about it; HTML. */
  advice: string;
  /** `detail` as it reads when this happens at `path`. */
  detail: string;
  path: string;
}

/** What the documentation says about each code, beside its status and title in lib/errors.ts. */
export const help: Record<ProblemCode, Help> = {
  invalid_json: {
    advice:
      "Send one JSON object in UTF-8. Check for a trailing comma, a missing quote, or a key that is there twice.",
    detail: "The body is not valid JSON.",
    path: "/tasks",
  },
  invalid_request: {
    advice:
      "Something about the request can’t be read: a parameter that is given twice, broken percent-encoding, " +
      "or a malformed header. <code>detail</code> says which. Sending it again won’t help.",
    detail: 'The parameter "limit" is given twice.',
    path: "/tasks",
  },
  invalid_cursor: {
    advice:
      "A cursor belongs to the filter and sort that it came with. Keep them for every page, or start again " +
      "without <code>cursor</code>.",
    detail: "The cursor was not made for this filter and sort.",
    path: "/tasks",
  },
  unauthenticated: {
    advice:
      "Send the access token that <code>POST /auth/login</code> answered with, in a header: " +
      "<code>Authorization: Bearer &lt;token&gt;</code>. No other place counts.",
    detail: "Send an access token: Authorization: Bearer <token>.",
    path: "/tasks",
  },
  invalid_token: {
    advice:
      "The access token has expired or its session has ended. Get a new one from <code>POST /auth/refresh</code>; " +
      "when that fails, sign in again.",
    detail: "The access token is invalid, expired or revoked.",
    path: "/tasks",
  },
  invalid_passport: {
    advice:
      "Services tell each other this; HTTP clients get <a href='#unavailable'>unavailable</a> in its place. The " +
      "caller on the bus carries no passport from auth, or one that has expired.",
    detail: "The call carries no valid passport.",
    path: "/tasks",
  },
  invalid_credentials: {
    advice: "Check both. The answer is the same for an address that is not registered.",
    detail: "The e-mail address or the password is wrong.",
    path: "/auth/login",
  },
  invalid_refresh_token: {
    advice:
      "Sign in again. A refresh token works once: keep the new one from each answer, and forget the old one.",
    detail: "Please sign in again.",
    path: "/auth/refresh",
  },
  invalid_client: {
    advice:
      "Of a service, on the bus: its name or its secret is wrong. <code>npm run client</code> makes a new one.",
    detail: "There is no such client, or its secret is another.",
    path: "/auth/me",
  },
  wrong_password: {
    advice: "Ask the person for their current password again. You are still signed in.",
    detail: "The password is wrong.",
    path: "/auth/me",
  },
  email_not_verified: {
    advice:
      "The password was right, but this installation asks for a verified address first. A mail with a new link is on " +
      "its way: open it, then sign in again.",
    detail: "Please open the link that was mailed to this address, then sign in again.",
    path: "/auth/login",
  },
  forbidden: {
    advice:
      "Your account is not allowed to do this, or only when you have signed in with the password: an API token " +
      "can’t do everything.",
    detail: "This is not allowed.",
    path: "/tasks",
  },
  not_found: {
    advice: "Check the path and the id. What belongs to somebody else looks just like what doesn’t exist.",
    detail: "There is nothing here, or it is not yours.",
    path: "/tasks/01a202b2-c500-7c3a-9d2e-4f5a6b7c8d9e",
  },
  method_not_allowed: {
    advice: "The header <code>Allow</code> lists the methods that this path has.",
    detail: "Allowed here: GET, HEAD, POST.",
    path: "/tasks",
  },
  idempotency_in_flight: {
    advice:
      "The first request with this <code>Idempotency-Key</code> has not been answered yet. Wait a moment, then repeat " +
      "it with the same key.",
    detail: "The first request with this key is still running.",
    path: "/tasks",
  },
  email_taken: {
    advice:
      "Sign in instead, or register with another address. Upper and lower case don’t make a difference.",
    detail: "There is an account with this e-mail address already.",
    path: "/auth/register",
  },
  since_expired: {
    advice:
      "The changes since then are not kept any more, or <code>since</code> is of another installation. Drop your copy and " +
      "start again: <code>GET /changes</code> without <code>since</code>.",
    detail: "Changes since then are not kept: start again without `since`.",
    path: "/changes",
  },
  precondition_failed: {
    advice:
      "Somebody changed the task since you read it. <code>ETag</code> and <code>currentVersion</code> say which version " +
      "there is now: read it, decide again, and send the new ETag in <code>If-Match</code>.",
    detail: "The task is at version 4.",
    path: "/tasks/01a202b2-c500-7c3a-9d2e-4f5a6b7c8d9e",
  },
  payload_too_large: {
    advice: "Keep the body under 1 MiB.",
    detail: "The body is larger than 1mb.",
    path: "/tasks",
  },
  unsupported_media_type: {
    advice:
      "Send <code>Content-Type: application/json</code> (for PATCH, <code>application/merge-patch+json</code> is " +
      "right too) and no compression. <code>Accept-Post</code> or <code>Accept-Patch</code> lists what is taken.",
    detail: "The body must be application/json in UTF-8.",
    path: "/tasks",
  },
  validation_failed: {
    advice:
      "<code>errors</code> lists everything that is wrong, at once: <code>pointer</code> leads to a field of the " +
      "body, <code>parameter</code> names one of the query. Unknown names are errors too, so that a typing " +
      "mistake never goes unnoticed. Of a body of more than a thousand values only the first error is listed, and one of " +
      "more than 20,000 is refused as a whole.",
    detail: '"title" is required. "prioritty" is not allowed: did you mean "priority"?',
    path: "/tasks",
  },
  idempotency_key_reused: {
    advice:
      "An <code>Idempotency-Key</code> belongs to one request, for a day. Make a new one for each request, and use it " +
      "again only to repeat that very request.",
    detail: "This key was used for another request.",
    path: "/tasks",
  },
  not_applied: {
    advice:
      "In a bulk that is <code>atomic</code>, one operation that fails undoes all. Mend the ones that have another " +
      "problem, or send <code>atomic: false</code>.",
    detail: "Another operation could not be done, so none was.",
    path: "/tasks/bulk",
  },
  invalid_mailed_token: {
    advice:
      "A mailed link works once, for 30 minutes (password) or 24 hours (e-mail address). Ask for another by " +
      "<code>POST /auth/password/forgot</code>.",
    detail: "The link has been used, has expired or was never one.",
    path: "/auth/password/reset",
  },
  insufficient_scope: {
    advice: "The API token was made with other scopes. <code>detail</code> names the one that is missing.",
    detail: "This needs the scope tasks:write.",
    path: "/tasks",
  },
  last_admin: {
    advice: "Make somebody else an administrator first: without one, nobody could.",
    detail: "Make somebody else an administrator first.",
    path: "/users/01a202a9-7840-7b21-8f3e-6c5d4b3a2918",
  },
  too_many_attempts: {
    advice: "Wait as long as the <code>Retry-After</code> header says, in seconds.",
    detail: "Too many attempts to sign in. Please wait.",
    path: "/auth/login",
  },
  too_many_requests: {
    advice: "Wait as long as the <code>Retry-After</code> header says, in seconds.",
    detail: "Too many requests. Please wait.",
    path: "/tasks",
  },
  internal: {
    advice:
      "A defect on our side. If it happens again, report it with the <code>requestId</code>: the log has the cause.",
    detail: "The request could not be completed. Please try again in a moment.",
    path: "/tasks",
  },
  overloaded: {
    advice:
      "More people are signing in than passwords can be checked. Nothing is wrong with the request: send it again " +
      "when <code>Retry-After</code> has passed.",
    detail: "The request could not be completed. Please try again in a moment.",
    path: "/auth/login",
  },
  unavailable: {
    advice:
      "Something that Taskmesh needs is down or overloaded. Wait as long as <code>Retry-After</code> says, then " +
      "try again.",
    detail: "The request could not be completed. Please try again in a moment.",
    path: "/tasks",
  },
};

/** Every code, in the order of lib/errors.ts. */
export const problemCodes: ProblemCode[] = Object.keys(problems).filter(
  (name): name is ProblemCode => name in problems,
);
