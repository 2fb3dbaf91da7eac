import type Joi from "joi";

/** JSON Schema, draft 2020-12, as far as the document uses it. */
export interface JsonSchema {
  $ref?: string;
  type?: string | string[];
  properties?: Record<string, JsonSchema>;
  required?: string[];
  items?: JsonSchema;
  anyOf?: JsonSchema[];
  enum?: unknown[];
  examples?: unknown[];
  [keyword: string]: unknown;
}

/** What may be sent, or what is answered: where there is a default, it differs. */
type Direction = "input" | "output";
type Fields = Record<string, unknown>;

const REF = "#/components/schemas/";

/** Examples for where a schema brings none of its own. */
const BY_FORMAT: Record<string, unknown> = {
  uuid: "01a202b2-c500-7c3a-9d2e-4f5a6b7c8d9e",
  "date-time": "2026-11-22T10:00:00.000Z",
};

export type Schemas = ReturnType<typeof createSchemas>;

/**
 * Turns Joi schemas into JSON Schemas. What `.meta({ title })` names becomes one component, whoever uses it.
 *
 * Joi emits types, limits and formats. Added here: examples, and every other `.meta()` as a keyword of JSON Schema,
 * which is how a schema says what its custom rules check (`maxLength`, `pattern`).
 *
 * @param known components that there are already
 */
export function createSchemas(known: Record<string, JsonSchema> = {}) {
  const components: Record<string, JsonSchema> = { ...known };

  /** `without` leaves out properties: those that come from another place than the body. */
  const read = (
    schema: Joi.Schema,
    direction: Direction,
    { without = [] }: { without?: string[] } = {},
  ): JsonSchema => merge(omit(emit(schema, direction), without), schema.describe());

  /** The parts of an action's params, each on its own. */
  function readParts(params: Joi.ObjectSchema): { name: string; schema: JsonSchema; required: boolean }[] {
    const required = list(emit(params, "input").required);
    return Object.keys(fields(params.describe().keys)).map((name) => ({
      name,
      schema: read(params.extract(name), "input"),
      required: required.includes(name),
    }));
  }

  function merge(emitted: Fields, description: Fields): JsonSchema {
    const { title, ...keywords } = Object.assign({}, ...list(description.metas).map(fields));
    const { properties, items, anyOf, ...rest } = emitted;
    const alternatives = list(description.matches).map((match) => fields(fields(match).schema));
    const merged: JsonSchema = {
      ...rest,
      ...keywords,
      ...(properties ? { properties: mergeEach(fields(properties), fields(description.keys)) } : {}),
      ...(items ? { items: mergeItems(fields(items), list(description.items).map(fields)) } : {}),
      ...(anyOf ? mergeAny(anyOf, alternatives) : {}),
      ...examples(emitted, description),
    };
    if (typeof title !== "string") return merged;
    if (!list(merged.type).includes("null")) return named(title, merged);
    return { anyOf: [named(title, { ...merged, type: "object" }), { type: "null" }] };
  }

  const mergeAny = (emitted: unknown, descriptions: Fields[]): { anyOf: JsonSchema[] } => ({
    anyOf: list(emitted).map((each, index) => merge(fields(each), descriptions[index] ?? {})),
  });

  /** Items of one kind, or each of one of some kinds. */
  const mergeItems = (emitted: Fields, descriptions: Fields[]): JsonSchema =>
    descriptions.length > 1 ? mergeAny(emitted.anyOf, descriptions) : merge(emitted, descriptions[0] ?? {});

  const mergeEach = (emitted: Fields, descriptions: Fields): Record<string, JsonSchema> =>
    Object.fromEntries(
      Object.entries(emitted).map(([name, each]) => [name, merge(fields(each), fields(descriptions[name]))]),
    );

  function named(title: string, schema: JsonSchema): JsonSchema {
    const before = components[title];
    if (before && JSON.stringify(before) !== JSON.stringify(schema)) {
      throw new Error(`Two schemas have the title ${title}.`);
    }
    components[title] = schema;
    return { $ref: REF + title };
  }

  const resolve = (schema: JsonSchema): JsonSchema =>
    schema.$ref === undefined ? schema : (components[schema.$ref.slice(REF.length)] ?? {});

  /**
   * A value that the schema accepts, put together from the examples of its parts.
   *
   * @throws when a part has none: `where` and the path to it are in the message
   */
  function exampleOf(schema: JsonSchema, where: string): unknown {
    const { examples, type, properties, items, anyOf, enum: values, ...rest } = resolve(schema);
    if (examples) return examples[0];
    if ("const" in rest) return rest.const;
    if ("default" in rest) return rest.default;
    if (values) return values[0];
    if (properties) {
      const parts = Object.entries(properties);
      return Object.fromEntries(parts.map(([name, part]) => [name, exampleOf(part, `${where}.${name}`)]));
    }
    if (items) return [exampleOf(items, `${where}[]`)];
    if (anyOf?.[0]) return exampleOf(anyOf[0], where);
    if (type === "boolean") return false;
    throw new Error(`${where} has no example: add .example() to its schema.`);
  }

  return { components, read, readParts, exampleOf };
}

const emit = (schema: Joi.Schema, direction: Direction): Fields =>
  schema["~standard"].jsonSchema[direction]({ target: "draft-2020-12" });

function examples({ type, format }: Fields, { examples: own }: Fields): { examples?: unknown[] } {
  // A list written with commas, as in a query string, becomes the list that the schema describes.
  if (type === "array") {
    const lists = list(own).map((each) => (typeof each === "string" ? each.split(",") : each));
    return lists.length > 0 ? { examples: lists } : {};
  }
  const byFormat = BY_FORMAT[String(format)];
  if (own) return { examples: list(own) };
  return byFormat === undefined ? {} : { examples: [byFormat] };
}

function omit(schema: Fields, names: string[]): Fields {
  if (names.length === 0) return schema;
  const { properties, required, ...rest } = schema;
  const kept = Object.entries(fields(properties)).filter(([name]) => !names.includes(name));
  const needed = list(required).filter((name) => !names.includes(String(name)));
  return {
    ...rest,
    properties: Object.fromEntries(kept),
    ...(needed.length > 0 ? { required: needed } : {}),
  };
}

const fields = (value: unknown): Fields => (typeof value === "object" && value !== null ? { ...value } : {});
const list = (value: unknown): unknown[] => (Array.isArray(value) ? value : []);
