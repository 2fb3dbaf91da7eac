import { problems } from "../../../lib/errors.ts";
import { help } from "../problem-help.ts";
import type { JsonSchema } from "./schemas.ts";

// The parts of the document that are written by hand.

/** In examples. */
export const REQUEST_ID = "8f14e45f-ceea-467f-a8f1-2b3c4d5e6f70";

export const info = {
  title: "Taskmesh",
  summary: "Task management over HTTP",
  license: { name: "MIT", identifier: "MIT" },
  description: `Taskmesh keeps your tasks, with a status, a priority, tags and a due date in your time zone.

**Try it on this page**

1. [Create an account](#/auth/auth.register): open it, press *Execute*.
2. [Sign in](#/auth/auth.login): from then on this page sends your access token by itself.
3. [Create a task](#/tasks/tasks.create), then [list your tasks](#/tasks/tasks.list).

**Good to know**

- Bodies are JSON in UTF-8. Times are RFC 3339 in UTC with milliseconds.
- Nothing unknown is ignored: a field or parameter that doesn't exist is a 422 that lists everything wrong at once.
- Errors are problem documents (RFC 9457). Their \`code\` never changes; [each one is explained here](/docs/problems).
- What belongs to somebody else looks just like what doesn't exist: 404.
- Every answer has an \`X-Request-Id\`; send one of your own (up to 64 of \`A-Z a-z 0-9 . _ -\`) to find it in the logs.
- HEAD works wherever GET does.`,
};

export const servers = [{ url: "/", description: "The gateway that serves this document" }];

/** By the names of the services, in the order of the page. */
export const tags = [
  { name: "auth", description: "Accounts, sessions, API tokens, and what administrators see of them" },
  { name: "tasks", description: "Your tasks: nobody else sees them" },
];

export const securitySchemes = {
  bearer: {
    type: "http",
    scheme: "bearer",
    bearerFormat: "JWT",
    description:
      "The `accessToken` that `POST /auth/login` answers with, or an API token. Each operation names the scope that " +
      "it needs; a person's own access token has them all.",
  },
};

const header = (description: string, example: string, { required = true } = {}) => ({
  description,
  ...(required ? { required } : {}),
  schema: { type: "string", examples: [example] },
});

/** Headers of requests, by their names. */
export const parameters = Object.fromEntries(
  [
    {
      name: "Idempotency-Key",
      description:
        "1 to 255 visible characters that you make up for this request. Sent again with the same key within 24 hours, " +
        "it is not done again: you get the first answer, with `Idempotency-Replayed: true`",
      example: "8e03978e-40d5-43e8-bc93-6894a57f9324",
    },
    {
      name: "If-Match",
      description: "The ETag that the task must have: `412` when it has changed meanwhile (RFC 9110)",
      example: '"3"',
    },
    {
      name: "If-None-Match",
      description: "ETags that the task must not have. For reading: the one you have already, for `304`",
      example: '"3"',
    },
    {
      name: "Last-Event-ID",
      description: "The `id` of the last event that you have, to go on after it; wins over `since`",
      example: "811",
    },
  ].map(({ name, description, example }) => [
    name,
    { name, in: "header", description, schema: { type: "string", examples: [example] } },
  ]),
);

export const headers = {
  "X-Request-Id": header(
    "Your own when you sent one, else a new one; it is in the logs of every service",
    REQUEST_ID,
  ),
  "RateLimit-Policy": header(
    "Requests that the client may make in a window of so many seconds; absent where limits are switched off",
    '"user";q=600;w=60',
    { required: false },
  ),
  RateLimit: header(
    "Requests that are left, and the seconds until the window is over (IETF draft)",
    '"user";r=598;t=42',
    { required: false },
  ),
  "Cache-Control": header("`no-store`, unless the answer is the same for everybody", "no-store"),
  ETag: header("The version of the task, for `If-Match` and `If-None-Match`", '"3"'),
  "Idempotency-Replayed": header(
    "`true` when this is the stored answer to a request that was done before with this `Idempotency-Key`",
    "true",
    { required: false },
  ),
  Location: header("Path of what was created", "/tasks/01a202b2-c500-7c3a-9d2e-4f5a6b7c8d9e"),
  Link: header(
    'The next page, with `rel="next"` (RFC 8288); absent on the last one',
    '</tasks?limit=20&cursor=eyJ2IjoxfQ>; rel="next"',
    { required: false },
  ),
  "Retry-After": header("Seconds to wait before trying again", "2"),
  "WWW-Authenticate": header("What is missing (RFC 6750)", 'Bearer realm="taskmesh", error="invalid_token"'),
  "Accept-Post": header("Media types that the path takes", "application/json"),
  "Accept-Patch": header(
    "Media types that the path takes (RFC 5789)",
    "application/merge-patch+json, application/json",
  ),
};

/** Of every response. */
export const HEADERS_OF_ALL = ["X-Request-Id", "RateLimit-Policy", "RateLimit"];

export const headerRefs = (names: string[]): Record<string, { $ref: string }> =>
  Object.fromEntries(names.map((name) => [name, { $ref: `#/components/headers/${name}` }]));

const text = (description: string, example: string): JsonSchema => ({
  type: "string",
  description,
  examples: [example],
});

export const problemSchema: JsonSchema = {
  type: "object",
  description:
    "What went wrong (RFC 9457). `code` is for programs and never changes; `detail` is for people.",
  required: ["type", "title", "status", "detail", "instance", "code", "requestId"],
  additionalProperties: false,
  properties: {
    type: {
      ...text("Where this kind of problem is explained", "/docs/problems#not_found"),
      format: "uri-reference",
    },
    title: text("The kind of problem", problems.not_found.title),
    status: { type: "integer", description: "As in the status line", examples: [problems.not_found.status] },
    detail: text("What happened this time", help.not_found.detail),
    instance: { ...text("The path that was asked for", help.not_found.path), format: "uri-reference" },
    code: text("Stable name of the kind of problem", "not_found"),
    requestId: text("The same as `X-Request-Id`: quote it when you report a problem", REQUEST_ID),
    currentVersion: {
      type: "integer",
      description: "With `precondition_failed`: the version that there is; also in `ETag`",
      examples: [4],
    },
    errors: {
      type: "array",
      description: "With `validation_failed`: everything that is wrong with the input",
      items: {
        type: "object",
        required: ["code", "detail"],
        additionalProperties: false,
        properties: {
          pointer: text("JSON Pointer (RFC 6901) to the field of the body", "/title"),
          parameter: text("Name of the parameter of the query", "limit"),
          code: text("Stable name of what is wrong", "required"),
          detail: text("What is wrong", '"title" is required.'),
        },
      },
    },
  },
};
