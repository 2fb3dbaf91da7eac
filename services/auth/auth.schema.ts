import Joi from "joi";
import type { Scope } from "../../lib/passport.ts";
import { dateOrInstant, locale, nothing, text, timeZone, uuid } from "../../lib/schema.ts";

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

export interface User {
  id: string;
  email: string;
  emailVerified: boolean;
  name: string;
  role: "user" | "admin";
  timeZone: string;
  locale: string;
  createdAt: string;
}

export interface SignedIn {
  accessToken: string;
  tokenType: "Bearer";
  /** Seconds. */
  expiresIn: number;
  refreshToken: string;
  /** Seconds. */
  refreshExpiresIn: number;
  user: User;
}

export interface Verified {
  user: Pick<User, "id" | "email" | "role" | "timeZone">;
  /** Null for an API token. */
  session: { id: string } | null;
  scopes: Scope[];
  passport: string;
}

/** A place where somebody is signed in. */
export interface Session {
  id: string;
  createdAt: string;
  /** To the minute. */
  lastUsedAt: string;
  ip: string | null;
  userAgent: string | null;
  /** Whether it is the one that asks. */
  current: boolean;
}

export interface NewApiToken {
  name: string;
  scopes: Scope[];
  expiresAt: string | null;
}

export interface ApiToken {
  id: string;
  name: string;
  scopes: Scope[];
  createdAt: string;
  expiresAt: string | null;
  lastUsedAt: string | null;
}

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

interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

const MIN_PASSWORD_CHARACTERS = 8;
/** bcrypt reads no further, so a longer password would be cut without a word. */
export const MAX_PASSWORD_BYTES = 72;

const email = Joi.string()
  .trim()
  .normalize("NFKC")
  .lowercase()
  .max(254)
  .email({ tlds: false })
  .description("Compared without regard to case")
  .example("ada@example.com");

const newPassword = text()
  .min(MIN_PASSWORD_CHARACTERS)
  .custom((value: string, helpers) => {
    // Joi's min() counts UTF-16 units: an emoji is two of them and one character.
    const characters = [...value].length;
    if (value.length >= MIN_PASSWORD_CHARACTERS && characters < MIN_PASSWORD_CHARACTERS) {
      return helpers.error("string.min", { limit: MIN_PASSWORD_CHARACTERS });
    }
    return Buffer.byteLength(value) > MAX_PASSWORD_BYTES ? helpers.error("password.bytes") : value;
  })
  .messages({ "password.bytes": `{{#label}} must not be longer than ${MAX_PASSWORD_BYTES} bytes in UTF-8` })
  .description(`At least ${MIN_PASSWORD_CHARACTERS} characters, at most ${MAX_PASSWORD_BYTES} bytes in UTF-8`)
  .example("correct horse battery staple")
  .meta({ format: "password", maxLength: MAX_PASSWORD_BYTES });

/** A password to compare: its rules were checked when it was chosen. */
const password = text().max(1024).example("correct horse battery staple").meta({ format: "password" });

const name = text().trim().max(100).allow("").example("Ada Lovelace");
const token = Joi.string().max(4096).example("tmr_AZx1kqZ8dUe3…");

/** What follows `#token=` in a mailed link. */
const mailedToken = Joi.string().max(256).example("tmm_AZx1kqZ8dUe3…");

const userFields = {
  id: uuid().required().example("01a202a9-7840-7b21-8f3e-6c5d4b3a2918"),
  email: Joi.string().required().example("ada@example.com"),
  emailVerified: Joi.boolean().required(),
  name: Joi.string().allow("").required().example("Ada Lovelace"),
  role: Joi.string().valid("user", "admin").required(),
  timeZone: Joi.string().required().example("Europe/London"),
  locale: Joi.string().required().example("en"),
  createdAt: Joi.string().isoDate().required(),
};
const user = Joi.object<User, true>(userFields).meta({ title: "User" });
const userRecord = Joi.object<UserRecord, true>({
  ...userFields,
  disabled: Joi.boolean().required().example(false),
}).meta({ title: "UserRecord" });

const instant = () => Joi.string().isoDate().example("2026-11-22T10:00:00.000Z");
const scopes = Joi.array()
  .items(Joi.string().valid("tasks:read", "tasks:write", "account"))
  .example(["tasks:read"]);

const session = Joi.object<Session, true>({
  id: uuid().required(),
  createdAt: instant().required(),
  lastUsedAt: instant().required().description("To the minute"),
  ip: Joi.string().allow(null).required().example("203.0.113.7"),
  userAgent: Joi.string().allow(null, "").required().example("Mozilla/5.0"),
  current: Joi.boolean().required().description("Whether this is the session that asks").example(true),
}).meta({ title: "Session" });

const apiTokenFields = {
  id: uuid().required(),
  name: Joi.string().required().example("Nightly export"),
  scopes: scopes.required(),
  createdAt: instant().required(),
  expiresAt: instant().allow(null).required(),
  lastUsedAt: instant().allow(null).required().description("To the minute"),
};
const apiToken = Joi.object<ApiToken, true>(apiTokenFields).meta({ title: "ApiToken" });

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

const pageOf = <T>(item: Joi.ObjectSchema<T>, title: string): Joi.ObjectSchema<Page<T>> =>
  Joi.object<Page<T>>({
    items: Joi.array().items(item).required(),
    nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
  }).meta({ title });

/** The id of the last item of the page before. */
const after = uuid().description("`nextCursor` of the page before");
const limit = Joi.number().integer().min(1).max(100).default(20).description("Items in a page");
const byId = Joi.object<{ id: string }, true>({ id: uuid().required() });

const signedIn = Joi.object<SignedIn, true>({
  accessToken: Joi.string()
    .required()
    .description("JWT (RFC 9068), signed with ES256")
    .example("eyJhbGciOiJFUzI1NiIs…"),
  tokenType: Joi.string().valid("Bearer").required(),
  expiresIn: Joi.number()
    .integer()
    .required()
    .description("Seconds until the access token expires")
    .example(600),
  refreshToken: Joi.string().required().description("Good for one use").example("tmr_AZx1kqZ8dUe3…"),
  refreshExpiresIn: Joi.number()
    .integer()
    .required()
    .description("Seconds until the refresh token expires")
    .example(604_800),
  user: user.required(),
}).meta({ title: "SignedIn" });

const noParams = Joi.object<Record<string, never>, true>({});

/** What the auth service's actions take and answer. */
export const authActions = {
  register: {
    summary: "Create an account",
    params: Joi.object<{ email: string; password: string; name: string }, true>({
      email: email.required(),
      password: newPassword.required(),
      name: name.default(""),
    }).meta({ title: "NewAccount" }),
    defaults: ["name"],
    result: user,
    errors: ["email_taken", "overloaded"],
  },
  login: {
    summary: "Sign in",
    description:
      "The access token is for every other request, the refresh token for the next access token. The answer to an " +
      "unknown address is the same as to a wrong password.",
    params: Joi.object<{ email: string; password: string }, true>({
      email: email.required(),
      password: password.required(),
    }).meta({ title: "Credentials" }),
    result: signedIn,
    errors: ["invalid_credentials", "email_not_verified", "too_many_attempts", "overloaded"],
  },
  refresh: {
    summary: "Exchange a refresh token for new tokens",
    description:
      "A refresh token works once: keep the one that comes back. Using an older one ends the session.",
    params: Joi.object<{ refreshToken: string }, true>({ refreshToken: token.required() }),
    result: signedIn,
    errors: ["invalid_refresh_token"],
  },
  logout: {
    summary: "End this session",
    scope: "account",
    description: "Its tokens are dead at once, everywhere.",
    params: noParams,
    result: nothing(),
    errors: ["forbidden"],
  },
  verify: {
    summary: "Who an access token belongs to, with a passport to call other services",
    params: Joi.object<{ token: string }, true>({ token: token.required() }),
    result: Joi.object<Verified, true>({
      user: Joi.object({
        id: uuid().required(),
        email: Joi.string().required(),
        role: Joi.string().valid("user", "admin").required(),
        timeZone: Joi.string().required(),
      }).required(),
      session: Joi.object({ id: uuid().required() }).allow(null).required(),
      scopes: scopes.required(),
      passport: Joi.string().required(),
    }),
    errors: ["invalid_token"],
  },
  me: { summary: "Read your account", scope: "account", params: noParams, result: user },
  updateMe: {
    summary: "Change your account",
    scope: "account",
    params: Joi.object<{ patch: { name?: string; timeZone?: string; locale?: string } }, true>({
      patch: Joi.object({
        name,
        timeZone: timeZone().description("IANA name").example("Europe/London"),
        locale: locale().description("BCP 47 tag").example("en-GB"),
      })
        .required()
        .description("JSON merge patch (RFC 7396): what is absent stays as it is")
        .example({ timeZone: "Europe/London", locale: "en-GB" })
        .meta({ title: "AccountPatch" }),
    }),
    result: user,
  },
  deleteMe: {
    summary: "Delete your account and everything in it",
    scope: "account",
    description:
      "All sessions end and all tasks are erased. There is no way back, so it asks for the password.",
    params: Joi.object<{ password: string }, true>({ password: password.required() }),
    result: nothing(),
    errors: ["wrong_password", "too_many_attempts", "overloaded"],
  },
  changePassword: {
    summary: "Change your password",
    scope: "account",
    description: "Every other session ends.",
    params: Joi.object<{ currentPassword: string; newPassword: string }, true>({
      currentPassword: password.required(),
      newPassword: newPassword.required(),
    }).meta({ title: "PasswordChange" }),
    result: nothing(),
    errors: ["wrong_password", "too_many_attempts", "overloaded"],
  },
  forgotPassword: {
    summary: "Ask for a link to a new password",
    description:
      "A mail goes out if there is an account with this address, unless it got several within the hour; the answer " +
      "is the same in any case.",
    params: Joi.object<{ email: string }, true>({ email: email.required() }).meta({ title: "EmailAddress" }),
    result: Joi.object<{ detail: string }, true>({
      detail: Joi.string()
        .required()
        .example("If there is an account with this address, a mail is on its way to it."),
    }).meta({ title: "Accepted" }),
  },
  resetPassword: {
    summary: "Set a new password with a mailed token",
    description:
      "The token works once, within 30 minutes. Every session ends, and the e-mail address counts as verified.",
    params: Joi.object<{ token: string; newPassword: string }, true>({
      token: mailedToken.required(),
      newPassword: newPassword.required(),
    }).meta({ title: "PasswordReset" }),
    result: nothing(),
    errors: ["invalid_mailed_token", "overloaded"],
  },
  verifyEmail: {
    summary: "Verify the e-mail address with a mailed token",
    description: "The token works once, within 24 hours.",
    params: Joi.object<{ token: string }, true>({ token: mailedToken.required() }).meta({
      title: "EmailVerification",
    }),
    result: nothing(),
    errors: ["invalid_mailed_token"],
  },
  listSessions: {
    summary: "List where you are signed in",
    scope: "account",
    params: noParams,
    result: Joi.object<{ items: Session[] }, true>({ items: Joi.array().items(session).required() }).meta({
      title: "Sessions",
    }),
  },
  endSession: {
    summary: "Sign out elsewhere",
    scope: "account",
    params: byId,
    result: nothing(),
    errors: ["not_found"],
  },
  endOtherSessions: {
    summary: "Sign out everywhere else",
    scope: "account",
    params: noParams,
    result: nothing(),
  },
  createToken: {
    summary: "Create an API token",
    scope: "account",
    description: "The token is shown this once. It can't be given more than who makes it may do.",
    params: Joi.object<NewApiToken, true>({
      name: text().trim().min(1).max(100).required().example("Nightly export"),
      scopes: scopes.min(1).unique().required(),
      expiresAt: dateOrInstant()
        .custom((value: string, helpers) =>
          value.includes("T") ? value : helpers.error("string.dateOrInstant"),
        )
        .allow(null)
        .default(null)
        .description("An instant; without it the token does not expire")
        .example("2027-12-01T00:00:00Z"),
    }).meta({ title: "NewApiToken" }),
    defaults: ["expiresAt"],
    result: Joi.object<ApiToken & { token: string }, true>({
      ...apiTokenFields,
      token: Joi.string().required().description("Shown this once").example("tmp_AZ…"),
    }).meta({ title: "CreatedApiToken" }),
    errors: ["insufficient_scope", "forbidden"],
  },
  listTokens: {
    summary: "List your API tokens",
    scope: "account",
    params: noParams,
    result: Joi.object<{ items: ApiToken[] }, true>({ items: Joi.array().items(apiToken).required() }).meta({
      title: "ApiTokens",
    }),
  },
  deleteToken: {
    summary: "Delete an API token",
    scope: "account",
    params: byId,
    result: nothing(),
    errors: ["not_found"],
  },
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
    errors: ["forbidden"],
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
    errors: ["forbidden"],
  },
  clientPassport: {
    summary: "A passport for a service by its own credential, to act for itself or for a person",
    params: Joi.object<{ client: string; secret: string; userId?: string }, true>({
      client: Joi.string().max(63).required(),
      secret: Joi.string().max(256).required(),
      userId: uuid(),
    }),
    result: Joi.object<{ passport: string }, true>({ passport: Joi.string().required() }),
    errors: ["invalid_client", "forbidden", "not_found"],
  },
  listPeople: {
    summary: "The people that a service may act for",
    scope: "tasks:read",
    role: "service",
    params: Joi.object<{ limit: number; cursor?: string }, true>({ limit, cursor: after }),
    defaults: ["limit"],
    result: pageOf(
      Joi.object<{ id: string; timeZone: string; locale: string }, true>({
        id: uuid().required(),
        timeZone: Joi.string().required(),
        locale: Joi.string().required(),
      }),
      "PeoplePage",
    ),
    errors: ["forbidden"],
  },
  jwks: {
    summary: "The public keys that sign access tokens and passports",
    description: "A JSON Web Key Set (RFC 7517), to verify access tokens elsewhere.",
    params: noParams,
    result: Joi.object<{ keys: object[] }, true>({
      keys: Joi.array()
        .items(
          Joi.object({
            kty: Joi.string().valid("EC").required(),
            crv: Joi.string().valid("P-256").required(),
            x: Joi.string().required().example("f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU"),
            y: Joi.string().required().example("x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"),
            kid: Joi.string().required().example("qX3bWm0ZpT5sUe7K"),
            alg: Joi.string().valid("ES256").required(),
            use: Joi.string().valid("sig").required(),
          }),
        )
        .required(),
    }).meta({ title: "JsonWebKeySet" }),
  },
} as const;
