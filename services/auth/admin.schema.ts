import Joi from "joi";
import { text, uuid } from "../../lib/schema.ts";
import { type User, userFields } from "./accounts.schema.ts";
import { after, instant, limit, pageOf } from "./common.schema.ts";

/** What the audit log knows of. */
export const AUDIT_EVENTS = [
  "register",
  "login",
  "refresh",
  "refresh_reuse",
  "logout",
  "session_end",
  "throttle",
  "password_change",
  "password_reset_request",
  "password_reset",
  "email_verify",
  "token_create",
  "token_delete",
  "client_passport",
  "role_change",
  "user_disable",
  "user_enable",
  "account_delete",
] as const;

/** A user as administrators see them. */
export interface UserRecord extends User {
  disabled: boolean;
}

export interface AuditEvent {
  id: string;
  at: string;
  event: string;
  result: string;
  userId: string | null;
  sessionId: string | null;
  ip: string | null;
  userAgent: string | null;
  detail: Record<string, string>;
}

const userRecord = Joi.object<UserRecord, true>({
  ...userFields,
  disabled: Joi.boolean().required().example(false),
}).meta({ title: "UserRecord" });

const auditEvent = Joi.object<AuditEvent, true>({
  id: uuid().required(),
  at: instant().required(),
  event: Joi.string()
    .valid(...AUDIT_EVENTS)
    .required(),
  result: Joi.string().valid("success", "failure").required(),
  userId: uuid().allow(null).required(),
  sessionId: uuid().allow(null).required(),
  ip: Joi.string().allow(null).required().example("203.0.113.7"),
  userAgent: Joi.string().allow(null, "").required().example("Mozilla/5.0"),
  detail: Joi.object().pattern(Joi.string(), Joi.string()).required().example({}),
}).meta({ title: "AuditEvent" });

/** What administrators see and do. */
export const adminActions = {
  listUsers: {
    summary: "List and search users",
    scope: "account",
    role: "admin",
    params: Joi.object<{ search?: string; limit: number; cursor?: string }, true>({
      search: text().max(254).description("Part of an e-mail address or a name").example("ada"),
      limit,
      cursor: after,
    }),
    defaults: ["limit"],
    result: pageOf(userRecord, "UserPage"),
    errors: ["invalid_cursor", "forbidden"],
  },
  changeUser: {
    summary: "Change a user's role, disable or enable them",
    scope: "account",
    role: "admin",
    params: Joi.object<{ id: string; patch: { role?: "user" | "admin"; disabled?: boolean } }, true>({
      id: uuid().required(),
      patch: Joi.object({ role: Joi.string().valid("user", "admin"), disabled: Joi.boolean().strict() })
        .required()
        .example({ role: "admin" })
        .meta({ title: "UserChange" }),
    }),
    result: userRecord,
    errors: ["forbidden", "not_found", "last_admin"],
  },
  listAuditEvents: {
    summary: "List what happened to accounts",
    scope: "account",
    role: "admin",
    params: Joi.object<{ userId?: string; event?: string; limit: number; cursor?: string }, true>({
      userId: uuid(),
      event: Joi.string().valid(...AUDIT_EVENTS),
      limit,
      cursor: after,
    }),
    defaults: ["limit"],
    result: pageOf(auditEvent, "AuditPage"),
    errors: ["invalid_cursor", "forbidden"],
  },
} as const;
