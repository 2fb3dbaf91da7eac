import Joi from "joi";
import { uuid } from "../../lib/schema.ts";
import { after, limit, pageOf } from "./common.schema.ts";

/** What services do by a credential of their own. */
export const clientActions = {
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
    errors: ["invalid_cursor", "forbidden"],
  },
} as const;
