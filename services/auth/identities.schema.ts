import Joi from "joi";
import type { Scope } from "../../lib/passport.ts";
import { noParams, uuid } from "../../lib/schema.ts";
import type { User } from "./accounts.schema.ts";
import { scopes } from "./common.schema.ts";

export interface Verified {
  user: Pick<User, "id" | "email" | "role" | "timeZone">;
  /** Null for an API token. */
  session: { id: string } | null;
  scopes: Scope[];
  passport: string;
}

/** Whose a token is, and how anybody can tell. */
export const identityActions = {
  verify: {
    summary: "Who an access token belongs to, with a passport to call other services",
    params: Joi.object<{ token: string }, true>({ token: Joi.string().max(4096).required() }),
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
  jwks: {
    summary: "The public keys that sign access tokens and passports",
    description: "A JSON Web Key Set (RFC 7517), to verify access tokens elsewhere.",
    params: noParams(),
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
