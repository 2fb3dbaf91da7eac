import Joi from "joi";
import { noParams, nothing, uuid } from "../../lib/schema.ts";
import { email, password, type User, user } from "./accounts.schema.ts";
import { byId, instant } from "./common.schema.ts";

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

const refreshToken = Joi.string().max(4096).example("tmr_AZx1kqZ8dUe3…");

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

const session = Joi.object<Session, true>({
  id: uuid().required(),
  createdAt: instant().required(),
  lastUsedAt: instant().required().description("To the minute"),
  ip: Joi.string().allow(null).required().example("203.0.113.7"),
  userAgent: Joi.string().allow(null, "").required().example("Mozilla/5.0"),
  current: Joi.boolean().required().description("Whether this is the session that asks").example(true),
}).meta({ title: "Session" });

/** Signing in, staying signed in and signing out. */
export const sessionActions = {
  login: {
    summary: "Sign in",
    description:
      "The access token is for every other request, the refresh token for the next access token. The answer to an " +
      "unknown address is the same as to a wrong password. A person has a hundred sessions at most: one more ends the one " +
      "that was not used for longest.",
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
    params: Joi.object<{ refreshToken: string }, true>({ refreshToken: refreshToken.required() }),
    result: signedIn,
    errors: ["invalid_refresh_token"],
  },
  logout: {
    summary: "End this session",
    scope: "account",
    description: "Its tokens are dead at once, everywhere.",
    params: noParams(),
    result: nothing(),
    errors: ["forbidden"],
  },
  listSessions: {
    summary: "List where you are signed in",
    scope: "account",
    params: noParams(),
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
    params: noParams(),
    result: nothing(),
  },
} as const;
