import Joi from "joi";
import { locale, noParams, nothing, text, timeZone, uuid } from "../../lib/schema.ts";

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

const MIN_PASSWORD_CHARACTERS = 8;
/** bcrypt reads no further, so a longer password would be cut without a word. */
export const MAX_PASSWORD_BYTES = 72;

export const email = Joi.string()
  .trim()
  .normalize("NFKC")
  .lowercase()
  .max(254)
  .email({ tlds: false })
  .description("Compared without regard to case")
  .example("ada@example.com");

export const newPassword = text()
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
export const password = text().max(1024).example("correct horse battery staple").meta({ format: "password" });

const name = text().trim().max(100).allow("").example("Ada Lovelace");

export const userFields = {
  id: uuid().required().example("01a202a9-7840-7b21-8f3e-6c5d4b3a2918"),
  email: Joi.string().required().example("ada@example.com"),
  emailVerified: Joi.boolean().required(),
  name: Joi.string().allow("").required().example("Ada Lovelace"),
  role: Joi.string().valid("user", "admin").required(),
  timeZone: Joi.string().required().example("Europe/London"),
  locale: Joi.string().required().example("en"),
  createdAt: Joi.string().isoDate().required(),
};
export const user = Joi.object<User, true>(userFields).meta({ title: "User" });

/** An account, as its owner sees and changes it. */
export const accountActions = {
  register: {
    summary: "Create an account",
    description:
      "A link that verifies the address is mailed to it. The account's `locale` is the language that " +
      "`Accept-Language` likes best, `en` without one.",
    params: Joi.object<{ email: string; password: string; name: string }, true>({
      email: email.required(),
      password: newPassword.required(),
      name: name.default(""),
    }).meta({ title: "NewAccount" }),
    defaults: ["name"],
    result: user,
    errors: ["email_taken", "overloaded"],
  },
  me: { summary: "Read your account", scope: "account", params: noParams(), result: user },
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
    errors: ["wrong_password", "last_admin", "too_many_attempts", "overloaded"],
  },
  changePassword: {
    summary: "Change your password",
    scope: "account",
    description: "Every other session ends; API tokens stay.",
    params: Joi.object<{ currentPassword: string; newPassword: string }, true>({
      currentPassword: password.required(),
      newPassword: newPassword.required(),
    }).meta({ title: "PasswordChange" }),
    result: nothing(),
    errors: ["wrong_password", "too_many_attempts", "overloaded"],
  },
} as const;
