/** An object of a JSON document. */
type Node = Record<string, unknown>;

/** Keywords of a schema that OpenAPI 3.0 knows and means as 3.1 does. */
const KEPT = new Set([
  ...["title", "description", "default", "enum", "format", "deprecated", "readOnly", "writeOnly"],
  ...["multipleOf", "minimum", "maximum", "minLength", "maxLength", "pattern"],
  ...["minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties", "required"],
]);

/**
 * The same API for tools that don't read OpenAPI 3.1. What 3.0 has no word for is left out, so that a schema says less
 * than in the original, and never more.
 *
 * @param document of OpenAPI 3.1, as buildOpenApi() makes it
 */
export function toOpenApi30(document: Node): Node {
  const { openapi: _, info, components, ...rest } = document;
  const { schemas, ...others } = node(components);
  return {
    openapi: "3.0.3",
    info: toInfo(node(info)),
    ...node(convert(rest)),
    components: { schemas: mapValues(node(schemas), toSchema), ...node(convert(others)) },
  };
}

function toInfo({ summary: _, license, ...info }: Node): Node {
  const { identifier, ...kept } = node(license);
  if (identifier === undefined) return license ? { ...info, license } : info;
  return { ...info, license: { ...kept, url: `https://spdx.org/licenses/${identifier}.html` } };
}

/** Everything but schemas and examples, which lie in it. */
function convert(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(convert);
  if (!isNode(value)) return value;
  const entries = Object.entries(value).map(([key, each]) => {
    if (key === "schema") return [key, toSchema(each)];
    if (key === "example" || key === "examples") return [key, each];
    // Scopes are OAuth's only.
    if (key === "security" && Array.isArray(each))
      return [key, each.map((one) => mapValues(node(one), () => []))];
    return [key, convert(each)];
  });
  return Object.fromEntries(entries);
}

function toSchema(schema: unknown): Node {
  if (typeof schema === "boolean") return schema ? {} : { not: {} };
  const { $ref, ...rest } = node(schema);
  if ($ref === undefined) return toPlainSchema(rest);
  // Beside a reference, 3.0 ignores whatever else there is.
  return Object.keys(rest).length === 0 ? { $ref } : { allOf: [{ $ref }], ...toPlainSchema(rest) };
}

function toPlainSchema(schema: Node): Node {
  const kept = Object.entries(schema).filter(([keyword]) => KEPT.has(keyword));
  const { properties, items, not, allOf, examples } = schema;
  return {
    ...Object.fromEntries(kept),
    ...toTypes(schema),
    ...toLimits(schema),
    ...("const" in schema ? { enum: [schema.const] } : {}),
    ...(Array.isArray(examples) ? { example: examples[0] } : {}),
    ...(properties ? { properties: mapValues(node(properties), toSchema) } : {}),
    ...(items === undefined ? {} : { items: toSchema(items) }),
    ...(not === undefined ? {} : { not: toSchema(not) }),
    ...(Array.isArray(allOf) ? { allOf: allOf.map(toSchema) } : {}),
    ...toAdditional(schema),
  };
}

/** `null` is no type in 3.0, and there is one type only. */
function toTypes({ type, items, anyOf, oneOf, enum: values }: Node): Node {
  const types = type === undefined ? [] : [type].flat();
  const others = types.filter((each) => each !== "null");
  const isNull = (each: unknown): boolean => node(each).type === "null";
  const alternatives = [anyOf, oneOf].filter(Array.isArray).flat();
  const nullable = types.includes("null") || alternatives.some(isNull);
  const [only, ...more] = alternatives.filter((each) => !isNull(each));
  if (types.length === 0 && nullable && only !== undefined && more.length === 0) {
    // "This or null": 3.0 takes null only beside a type, and a reference has none.
    return { type: node(only).type ?? "object", nullable, allOf: [toSchema(only)] };
  }
  const without = (name: string, schemas: unknown): Node =>
    Array.isArray(schemas) ? { [name]: schemas.filter((each) => !isNull(each)).map(toSchema) } : {};
  return {
    ...(others.length === 1 ? { type: others[0] } : {}),
    ...(others.length > 1
      ? { anyOf: others.map((each) => ({ type: each, ...(each === "array" ? { items: {} } : {}) })) }
      : {}),
    ...(others.length === 1 && others[0] === "array" && items === undefined ? { items: {} } : {}),
    ...without("anyOf", anyOf),
    ...without("oneOf", oneOf),
    ...(nullable ? { nullable: true } : {}),
    // Otherwise null would be no value of the list.
    ...(nullable && Array.isArray(values) ? { enum: [...new Set([...values, null])] } : {}),
    ...(types.length > 0 && others.length === 0 ? { enum: [null] } : {}),
  };
}

function toLimits({ exclusiveMinimum, exclusiveMaximum }: Node): Node {
  return {
    ...(typeof exclusiveMinimum === "number" ? { minimum: exclusiveMinimum, exclusiveMinimum: true } : {}),
    ...(typeof exclusiveMaximum === "number" ? { maximum: exclusiveMaximum, exclusiveMaximum: true } : {}),
  };
}

/** Names that match a pattern are any names in 3.0. */
function toAdditional({ additionalProperties, patternProperties }: Node): Node {
  const patterns = Object.values(node(patternProperties)).map(toSchema);
  if (patterns.length === 1 && additionalProperties === false) return { additionalProperties: patterns[0] };
  if (patterns.length > 0 || additionalProperties === undefined) return {};
  return {
    additionalProperties: isNode(additionalProperties)
      ? toSchema(additionalProperties)
      : additionalProperties,
  };
}

const isNode = (value: unknown): value is Node =>
  typeof value === "object" && value !== null && !Array.isArray(value);
const node = (value: unknown): Node => (isNode(value) ? value : {});

const mapValues = (object: Node, change: (value: unknown) => unknown): Node =>
  Object.fromEntries(Object.entries(object).map(([key, value]) => [key, change(value)]));
