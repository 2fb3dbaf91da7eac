import Joi from "joi";
import type { Scope } from "../../lib/passport.ts";
import { dateOrInstant, noParams, nothing, text, uuid } from "../../lib/schema.ts";
import { byId, instant, scopes } from "./common.schema.ts";

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

const apiTokenFields = {
  id: uuid().required(),
  name: Joi.string().required().example("Nightly export"),
  scopes: scopes.required(),
  createdAt: instant().required(),
  expiresAt: instant().allow(null).required(),
  lastUsedAt: instant().allow(null).required().description("To the minute"),
};
const apiToken = Joi.object<ApiToken, true>(apiTokenFields).meta({ title: "ApiToken" });

/** Tokens for scripts. */
export const apiTokenActions = {
  createToken: {
    summary: "Create an API token",
    scope: "account",
    description: "The token is shown this once. Sign in to make one: an API token can't make another.",
    params: Joi.object<NewApiToken, true>({
      name: text().trim().min(1).max(100).required().example("Nightly export"),
      scopes: scopes.min(1).unique().required(),
      expiresAt: dateOrInstant()
        .custom((value: string, helpers) =>
          value.includes("T") ? value : helpers.error("string.dateOrInstant"),
        )
        .messages({ "string.dateOrInstant": "{{#label}} must be an instant like 2026-12-01T09:00:00+03:00" })
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
    errors: ["forbidden"],
  },
  listTokens: {
    summary: "List your API tokens",
    scope: "account",
    params: noParams(),
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
} as const;
