import Joi from "joi";
import { locale, text, timeZone, uuid } from "../../lib/schema.ts";

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
  session: { id: string };
  passport: string;
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

const user = Joi.object<User, true>({
  id: uuid().required().example("01a202a9-7840-7b21-8f3e-6c5d4b3a2918"),
  email: Joi.string().required().example("ada@example.com"),
  emailVerified: Joi.boolean().required(),
  name: Joi.string().allow("").required().example("Ada Lovelace"),
  role: Joi.string().valid("user", "admin").required(),
  timeZone: Joi.string().required().example("Europe/London"),
  locale: Joi.string().required().example("en"),
  createdAt: Joi.string().isoDate().required(),
}).meta({ title: "User" });

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

const nothing = Joi.valid(null);
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
    result: user,
    errors: ["email_taken"],
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
    errors: ["invalid_credentials"],
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
    description: "Its tokens are dead at once, everywhere.",
    params: noParams,
    result: nothing,
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
      session: Joi.object({ id: uuid().required() }).required(),
      passport: Joi.string().required(),
    }),
    errors: ["invalid_token"],
  },
  me: { summary: "Read your account", params: noParams, result: user },
  updateMe: {
    summary: "Change your account",
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
    description:
      "All sessions end and all tasks are erased. There is no way back, so it asks for the password.",
    params: Joi.object<{ password: string }, true>({ password: password.required() }),
    result: nothing,
    errors: ["wrong_password"],
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
