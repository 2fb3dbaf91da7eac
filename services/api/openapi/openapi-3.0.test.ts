import { toOpenApi30 } from "./openapi-3.0.ts";

/** One schema, as it comes out. */
const convert = (schema: object): unknown => {
  const document = { openapi: "3.1.0", info: {}, paths: {}, components: { schemas: { It: schema } } };
  const { components } = toOpenApi30(document);
  return Object(components).schemas.It;
};

test.each<[string, object, object]>([
  [
    "a type or null",
    { type: ["string", "null"], format: "uuid" },
    { type: "string", format: "uuid", nullable: true },
  ],
  [
    "several types",
    { type: ["string", "array"] },
    { anyOf: [{ type: "string" }, { type: "array", items: {} }] },
  ],
  ["a list of anything", { type: "array" }, { type: "array", items: {} }],
  ["null alone", { type: "null" }, { nullable: true, enum: [null] }],
  [
    "one of a list, or null",
    { type: ["string", "null"], enum: ["a", "b"] },
    { type: "string", nullable: true, enum: ["a", "b", null] },
  ],
  [
    "a reference or null",
    { anyOf: [{ $ref: "#/components/schemas/A" }, { type: "null" }] },
    { anyOf: [{ $ref: "#/components/schemas/A" }], nullable: true },
  ],
  ["a constant", { const: 1 }, { enum: [1] }],
  [
    "a constant that is null",
    { const: null, type: ["string", "null"] },
    { type: "string", nullable: true, enum: [null] },
  ],
  ["examples", { type: "string", examples: ["a", "b"] }, { type: "string", example: "a" }],
  [
    "limits that are not met",
    { exclusiveMinimum: 0, exclusiveMaximum: 9 },
    { minimum: 0, exclusiveMinimum: true, maximum: 9, exclusiveMaximum: true },
  ],
  [
    "a reference with more beside it",
    { $ref: "#/components/schemas/A", description: "Who" },
    { allOf: [{ $ref: "#/components/schemas/A" }], description: "Who" },
  ],
  [
    "schemas that are true or false",
    { properties: { a: true, b: false } },
    { properties: { a: {}, b: { not: {} } } },
  ],
  [
    "names by a pattern",
    {
      type: "object",
      patternProperties: { "^x-": { type: ["number", "null"] } },
      additionalProperties: false,
    },
    { type: "object", additionalProperties: { type: "number", nullable: true } },
  ],
  [
    "schemas within schemas",
    { items: { oneOf: [{ const: "a" }], not: { const: "b" }, allOf: [{ examples: [1] }] } },
    { items: { oneOf: [{ enum: ["a"] }], not: { enum: ["b"] }, allOf: [{ example: 1 }] } },
  ],
  [
    "what 3.0 has no word for",
    { type: "array", items: {}, prefixItems: [{}], contains: {} },
    { type: "array", items: {} },
  ],
  [
    "properties that are called like keywords",
    { properties: { const: { type: "string" }, examples: { const: 1 }, type: { type: ["string", "null"] } } },
    {
      properties: {
        const: { type: "string" },
        examples: { enum: [1] },
        type: { type: "string", nullable: true },
      },
    },
  ],
])("%s", (_name, schema, expected) => {
  expect(convert(schema)).toEqual(expected);
});

test("schemas are found wherever they are, and examples stay as they are", () => {
  const example = { schema: { const: 1 }, security: [{ bearer: ["x"] }], type: ["a"] };
  const media = { schema: { const: 1 }, example, examples: { one: { value: example } } };
  const converted = { schema: { enum: [1] }, example, examples: { one: { value: example } } };
  const operation = (content: object, bearer: string[]) => ({
    parameters: [{ name: "a", in: "query", ...content }],
    requestBody: { content: { "application/json": content } },
    responses: { 200: { headers: { "X-A": content }, content: { "application/json": content } } },
    security: [{ bearer }],
  });
  const document = {
    openapi: "3.1.0",
    info: { title: "It", summary: "One line", license: { name: "MIT", identifier: "MIT" } },
    paths: { "/a": { get: operation(media, ["tasks:read"]) } },
    components: { headers: { H: media }, responses: { R: { content: { "text/plain": media } } } },
  };
  expect(toOpenApi30(document)).toEqual({
    openapi: "3.0.3",
    info: { title: "It", license: { name: "MIT", url: "https://spdx.org/licenses/MIT.html" } },
    paths: { "/a": { get: operation(converted, []) } },
    components: {
      schemas: {},
      headers: { H: converted },
      responses: { R: { content: { "text/plain": converted } } },
    },
  });
});
