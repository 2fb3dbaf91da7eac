import Joi from "joi";
import { invalidCursor, uuid } from "../../lib/schema.ts";

/** A part of a list. */
interface Page<T> {
  items: T[];
  nextCursor: string | null;
}

export const byId = Joi.object<{ id: string }, true>({ id: uuid().required() });

export const instant = () => Joi.string().isoDate().example("2026-11-22T10:00:00.000Z");
export const scopes = Joi.array()
  .items(Joi.string().valid("tasks:read", "tasks:write", "account"))
  .example(["tasks:read"]);

export const pageOf = <T>(item: Joi.ObjectSchema<T>, title: string): Joi.ObjectSchema<Page<T>> =>
  Joi.object<Page<T>>({
    items: Joi.array().items(item).required(),
    nextCursor: Joi.string().allow(null).required().example(null).description("null on the last page"),
  }).meta({ title });

/** The id of the last item of the page before. */
export const after = uuid().description("`nextCursor` of the page before").error(invalidCursor);
export const limit = Joi.number().integer().min(1).max(100).default(20).description("Items in a page");
