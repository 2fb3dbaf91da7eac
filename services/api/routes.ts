import type { Again } from "./calls.ts";

/**
 * One HTTP route: what it calls, who may call it, where its input comes from and what it answers with.
 * A path parameter is always a param of the same name; body and query are read from their own place only.
 */
export interface Route {
  method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** With `:name` for path parameters. */
  path: string;
  /** Moleculer action that gets the input as its params. */
  action: string;
  /** `bearer`: auth verifies the access token first, and its passport goes along. `open`: anyone. */
  access: "bearer" | "open";
  /** Where params come from, besides the path. */
  input: "body" | "query" | "none";
  /** Hands the whole body over as this one param: for merge patches, where an absent field means something. */
  bodyAs?: string;
  /** Status of success; 204 answers without a body. */
  status: 200 | 201 | 202 | 204;
  /** The path of what was created. `:name` stands for a field of the result. */
  location?: string;
  /** Action of the same params that answers with the body as `text`, instead of `action`: it is not read on its way. */
  text?: string;
  /** The result has a `nextCursor`: it also goes into a `Link` header (RFC 8288). */
  paged?: true;
  /** The result has a `version`: it is the ETag of the answer, and a reader that has it already gets 304. */
  tagged?: true;
  /** `If-Match` and `If-None-Match` go to the action as `ifMatch` and `ifNoneMatch`, lists of versions. */
  conditional?: true;
  /** A write that is done once, however often it comes: with an `Idempotency-Key`, or when the gateway tries again. */
  repeatable?: true;
  /** Whether it is tried again when it got no answer (calls.ts). GETs and what is `repeatable` are always, unless this says less. */
  again?: Again;
  /** Each of the result's `results` may have a `problem`: it becomes a problem document. */
  partial?: true;
  /** The answer does not end: it is the person's changes after the result's `seq`, as they come. */
  stream?: true;
  /** Seconds that anyone may keep the answer; without it, nobody may. */
  maxAge?: number;
}

/** Everything the gateway serves. What is not in this table is not reachable by HTTP. */
// biome-ignore format: one row a route, so that it reads as the table it is
export const routes: Route[] = [
  { method: "POST",   path: "/auth/register",         action: "auth.register", access: "open",   input: "body",  status: 201, location: "/auth/me", again: "if gone" },
  { method: "POST",   path: "/auth/login",            action: "auth.login",    access: "open",   input: "body",  status: 200, again: "if gone" },
  { method: "POST",   path: "/auth/refresh",          action: "auth.refresh",  access: "open",   input: "body",  status: 200, again: "always" },
  { method: "POST",   path: "/auth/logout",           action: "auth.logout",   access: "bearer", input: "none",  status: 204, again: "always" },
  { method: "GET",    path: "/auth/me",               action: "auth.me",       access: "bearer", input: "none",  status: 200 },
  { method: "PATCH",  path: "/auth/me",               action: "auth.updateMe", access: "bearer", input: "body",  status: 200, bodyAs: "patch", again: "if gone" },
  { method: "DELETE", path: "/auth/me",               action: "auth.deleteMe", access: "bearer", input: "body",  status: 204 },
  { method: "POST",   path: "/auth/password",         action: "auth.changePassword",   access: "bearer", input: "body",  status: 204 },
  { method: "POST",   path: "/auth/password/forgot",  action: "auth.forgotPassword",   access: "open",   input: "body",  status: 202 },
  { method: "POST",   path: "/auth/password/reset",   action: "auth.resetPassword",    access: "open",   input: "body",  status: 204 },
  { method: "POST",   path: "/auth/email/verify",     action: "auth.verifyEmail",      access: "open",   input: "body",  status: 204 },
  { method: "GET",    path: "/auth/sessions",         action: "auth.listSessions",     access: "bearer", input: "none",  status: 200 },
  { method: "DELETE", path: "/auth/sessions",         action: "auth.endOtherSessions", access: "bearer", input: "none",  status: 204, again: "if gone" },
  { method: "DELETE", path: "/auth/sessions/:id",     action: "auth.endSession",       access: "bearer", input: "none",  status: 204 },
  { method: "POST",   path: "/auth/tokens",           action: "auth.createToken",      access: "bearer", input: "body",  status: 201, location: "/auth/tokens/:id" },
  { method: "GET",    path: "/auth/tokens",           action: "auth.listTokens",       access: "bearer", input: "none",  status: 200 },
  { method: "DELETE", path: "/auth/tokens/:id",       action: "auth.deleteToken",      access: "bearer", input: "none",  status: 204 },
  { method: "GET",    path: "/users",                 action: "auth.listUsers",        access: "bearer", input: "query", status: 200, paged: true },
  { method: "PATCH",  path: "/users/:id",             action: "auth.changeUser",       access: "bearer", input: "body",  status: 200, bodyAs: "patch" },
  { method: "GET",    path: "/audit-events",          action: "auth.listAuditEvents",  access: "bearer", input: "query", status: 200, paged: true },
  { method: "GET",    path: "/.well-known/jwks.json", action: "auth.jwks",     access: "open",   input: "none",  status: 200, maxAge: 60 },

  { method: "POST",   path: "/tasks",                 action: "tasks.create",  access: "bearer", input: "body",  status: 201, location: "/tasks/:id", tagged: true, repeatable: true },
  { method: "GET",    path: "/tasks",                 action: "tasks.list",    access: "bearer", input: "query", status: 200, paged: true, text: "tasks.listText" },
  { method: "POST",   path: "/tasks/bulk",            action: "tasks.bulk",    access: "bearer", input: "body",  status: 200, repeatable: true, partial: true },
  { method: "GET",    path: "/tasks/:id",             action: "tasks.get",     access: "bearer", input: "query", status: 200, tagged: true },
  { method: "PATCH",  path: "/tasks/:id",             action: "tasks.update",  access: "bearer", input: "body",  status: 200, bodyAs: "patch", tagged: true, conditional: true, repeatable: true },
  { method: "DELETE", path: "/tasks/:id",             action: "tasks.delete",  access: "bearer", input: "none",  status: 204, conditional: true, repeatable: true },
  { method: "GET",    path: "/tasks/:id/history",     action: "tasks.history", access: "bearer", input: "query", status: 200, paged: true },
  { method: "POST",   path: "/tasks/:id/revert",      action: "tasks.revert",  access: "bearer", input: "body",  status: 200, tagged: true, conditional: true, repeatable: true },
  { method: "GET",    path: "/trash",                 action: "tasks.listTrash",  access: "bearer", input: "query", status: 200, paged: true },
  { method: "DELETE", path: "/trash",                 action: "tasks.emptyTrash", access: "bearer", input: "none",  status: 204, repeatable: true, again: "if gone" },
  { method: "POST",   path: "/trash/:id/restore",     action: "tasks.restore", access: "bearer", input: "none",  status: 200, tagged: true, conditional: true, repeatable: true },
  { method: "DELETE", path: "/trash/:id",             action: "tasks.erase",   access: "bearer", input: "none",  status: 204, conditional: true, repeatable: true },
  { method: "GET",    path: "/changes",               action: "tasks.changes", access: "bearer", input: "query", status: 200 },
  { method: "GET",    path: "/stats",                 action: "tasks.stats",   access: "bearer", input: "none",  status: 200 },
  { method: "GET",    path: "/events",                action: "tasks.follow",  access: "bearer", input: "query", status: 200, stream: true },
];
