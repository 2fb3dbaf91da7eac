import { distance } from "fastest-levenshtein";
import type Joi from "joi";
import { Errors, Validators } from "moleculer";
import { MAX_VIOLATIONS, type Violation, validationFailed } from "./errors.ts";
import { countValues } from "./input-size.ts";
import { MESSAGES } from "./schema.ts";

/** Joi's error types under the names that clients see; all others are `wrong_type` or `invalid_format`. */
const CODES: Record<string, string> = {
  "any.required": "required",
  "any.only": "not_one_of",
  "object.unknown": "unknown_field",
  "string.empty": "too_short",
  "string.min": "too_short",
  "string.max": "too_long",
  "string.pattern.base": "invalid_format",
  "password.bytes": "too_long",
  "array.min": "too_few",
  "array.max": "too_many",
  "array.unique": "duplicate",
  "number.min": "too_small",
  "number.max": "too_large",
};

/** Instead of Joi's own, which repeats what was sent. */
const messages = { ...MESSAGES, "string.pattern.base": "{{#label}} does not have the required form" };

/** In more values than these, the first violation must do: Joi takes longer to say what is wrong than to see it. */
const MAX_VALUES_TO_EXPLAIN = 1_000;

/** Characters of a field's name, and of the way to it, that are repeated: of one that is not known there is no limit. */
const MAX_NAME = 100;

function violation(schema: Joi.ObjectSchema, item: Joi.ValidationErrorItem): Violation {
  const path = item.path.map((part) => (typeof part === "string" ? part.slice(0, MAX_NAME) : part));
  const hint = item.type === "object.unknown" ? suggestion(schema, path) : undefined;
  const label = item.context?.label ?? "";
  const message = item.message.replace(label, () => label.slice(0, MAX_NAME));
  const detail = `${message}${hint ? `: did you mean "${hint}"?` : "."}`;
  const code = CODES[item.type] ?? (item.type.endsWith(".base") ? "wrong_type" : "invalid_format");
  return { path, code, detail };
}

/** Joi says of a number where one of some texts belongs that it is neither: once is enough. */
const distinct = (items: Joi.ValidationErrorItem[]): Joi.ValidationErrorItem[] => {
  const places = Map.groupBy(items, ({ path }) => path.join("/"));
  return items.filter(({ type, path }) => type !== "any.only" || places.get(path.join("/"))?.length === 1);
};

/** The known sibling field that a misspelt one most likely meant. */
function suggestion(schema: Joi.ObjectSchema, path: (string | number)[]): string | undefined {
  const parents = path.slice(0, -1).filter((part) => typeof part === "string");
  const parent = parents.length === 0 ? schema : schema.extract(parents);
  const known = Object.keys(parent.describe().keys ?? {});
  const written = String(path.at(-1)).slice(0, 64);
  const [best] = known
    .map((name) => ({ name, edits: distance(written.toLowerCase(), name.toLowerCase()) }))
    .sort((a, b) => a.edits - b.edits);
  return best && best.edits <= Math.max(2, written.length / 3) ? best.name : undefined;
}

const preparedSchemas = new WeakMap<object, Joi.ObjectSchema>();

/** The schema with our options: given at each validation, Joi would parse the messages each time. */
function prepared(schema: Joi.ObjectSchema): Joi.ObjectSchema {
  const known = preparedSchemas.get(schema);
  if (known) return known;
  const options = { abortEarly: false, errors: { wrap: { label: '"' } }, messages } as const;
  const made = schema.prefs(options);
  preparedSchemas.set(schema, made);
  return made;
}

/**
 * Checks a value against a schema: its canonical form, or an error that names every violation, or one that the schema has
 * itself (Joi's `error`).
 * Messages never repeat what was sent: it may be a password.
 */
export function validate<T>(schema: Joi.ObjectSchema<T>, input: unknown): T {
  const count = countValues(input);
  const ours = prepared(schema);
  const isLarge = count > MAX_VALUES_TO_EXPLAIN;
  const { value, error } = (isLarge ? ours.prefs({ abortEarly: true }) : ours).validate(input);
  // What a schema has of its own to say.
  if (error instanceof Errors.MoleculerError) throw error;
  if (error)
    throw validationFailed(
      distinct(error.details)
        .slice(0, MAX_VIOLATIONS)
        .map((item) => violation(schema, item)),
    );
  return value;
}

/** An action's `params` for this validator. A function, since Moleculer sends plain objects to every node. */
export const joi = (schema: Joi.ObjectSchema): { $joi: () => Joi.ObjectSchema } => ({ $joi: () => schema });

/** Joi for `params` made by `joi()`, Moleculer's own Fastest Validator for every other service's. */
export class JoiValidator extends Validators.Fastest {
  override compile(params: Record<string, unknown>): ReturnType<Validators.Fastest["compile"]> {
    const { $joi } = params;
    if (typeof $joi !== "function") return super.compile(params);
    const schema: Joi.ObjectSchema = $joi();
    // Asynchronous, so that a violation rejects the call instead of being thrown at its caller's stack.
    const check = async (input: Record<string, unknown>, options?: { meta: object }): Promise<boolean> => {
      if (options) Object.assign(options.meta, { params: validate(schema, input) });
      return true;
    };
    return Object.assign(check, { async: true });
  }
}
