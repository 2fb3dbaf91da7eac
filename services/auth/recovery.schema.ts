import Joi from "joi";
import { nothing } from "../../lib/schema.ts";
import { email, newPassword } from "./accounts.schema.ts";

/** What follows `#token=` in a mailed link. */
const mailedToken = Joi.string().max(256).example("tmm_AZx1kqZ8dUe3…");

/** What people do by mail. */
export const recoveryActions = {
  forgotPassword: {
    summary: "Ask for a link to a new password",
    description:
      "A mail goes out if there is an account with this address, unless it has several whose links still work; the " +
      "answer is the same in any case.",
    params: Joi.object<{ email: string }, true>({ email: email.required() }).meta({ title: "EmailAddress" }),
    result: Joi.object<{ detail: string }, true>({
      detail: Joi.string()
        .required()
        .example("If there is an account with this address, a mail is on its way to it."),
    }).meta({ title: "Accepted" }),
    errors: ["too_many_attempts"],
  },
  resetPassword: {
    summary: "Set a new password with a mailed token",
    description:
      "The token works once, within 30 minutes. Every session ends and all API tokens are deleted, since somebody " +
      "else may have had the account; the e-mail address counts as verified.",
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
} as const;
