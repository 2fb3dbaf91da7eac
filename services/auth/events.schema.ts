import Joi from "joi";

/** Whose rights have changed. */
interface AuthChange {
  kind: "session" | "user" | "api_token" | "any";
  /** Of the session, user or token; empty for `any`. */
  id: string;
}

/** What the auth service tells the bus. */
export const authEvents = {
  "auth.changed": {
    summary:
      "Somebody's rights have changed, or with the kind `any` perhaps everybody's: for gateways alone, all of them",
    payload: Joi.object<AuthChange, true>({
      kind: Joi.string().valid("session", "user", "api_token", "any").required(),
      id: Joi.string().allow("").required(),
    }),
  },
} as const;
