import { STATUS_CODES } from "node:http";
import type Joi from "joi";
import { type ProblemCode, problems } from "../../../lib/errors.ts";
import { eventOf, opening } from "../event-format.ts";
import { acceptedTypes, isFromHeader } from "../input.ts";
import type { Route } from "../routes.ts";
import { codesOf, type ProblemResponses, problemResponse, validationExample } from "./problems.ts";
import type { JsonSchema, Schemas } from "./schemas.ts";
import { HEADERS_OF_ALL, headerRefs } from "./texts.ts";

/** What the document takes from the contract of an action. */
export interface Described {
  summary: string;
  /** What the summary leaves open; Markdown. */
  description?: string;
  params: Joi.ObjectSchema;
  result: Joi.Schema;
  /** Of a stream: what each event carries. */
  event?: Joi.Schema;
  /** What the caller must be allowed to do. */
  scope?: string;
  role?: string;
  errors?: readonly ProblemCode[];
}

interface Parameter {
  name: string;
  in: "path" | "query";
  required: boolean;
  schema: JsonSchema;
}

interface Body {
  schema: JsonSchema;
  example: unknown;
}

/** One operation: what a route takes, what it answers with, and every problem that it can answer with instead. */
export function describeOperation(
  route: Route,
  contract: Described,
  { schemas, failures }: { schemas: Schemas; failures: ProblemResponses },
) {
  const parameters = readParameters(route, contract, schemas);
  const body = route.input === "body" ? readBody(route, contract, schemas) : undefined;
  const invalid = validationExample(route, contract.params, {
    path: examplesOf(parameters, "path", schemas),
    input: body ? Object(body.example) : examplesOf(parameters, "query", schemas),
  });
  const description = [contract.description, needs(contract)]
    .filter((part) => part !== undefined)
    .join("\n\n");
  return {
    operationId: route.action,
    summary: contract.summary,
    ...(description === "" ? {} : { description }),
    security: route.access === "bearer" ? [{ bearer: contract.scope ? [contract.scope] : [] }] : [],
    ...listOf("parameters", [...parameters.map(describeParameter), ...headerParameters(route)]),
    ...(body
      ? { requestBody: { required: true, content: contentOf(acceptedTypes(route.method), body) } }
      : {}),
    responses: {
      [route.status]: describeSuccess(route, contract, schemas),
      ...(route.tagged && route.method === "GET" ? { 304: NOT_MODIFIED } : {}),
      ...describeFailures(route, contract, { failures, invalid }),
    },
  };
}

/** An operation whose action has no contract: what its route tells. */
export function describeUnknown(route: Route, failures: ProblemResponses) {
  const parameters = (route.path.match(/:\w+/g) ?? []).map((name) => ({
    name: name.slice(1),
    in: "path",
    required: true,
    schema: { type: "string" },
  }));
  const anything = { schema: { type: "object" }, example: {} };
  const body = { required: true, content: contentOf(acceptedTypes(route.method), anything) };
  const json = { "application/json": { schema: {}, example: {} } };
  return {
    operationId: route.action,
    summary: `Calls ${route.action}`,
    description: "What it takes and answers is not described.",
    security: route.access === "bearer" ? [{ bearer: [] }] : [],
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.input === "body" ? { requestBody: body } : {}),
    responses: {
      [route.status]: { ...successOf(route), ...(route.status === 204 ? {} : { content: json }) },
      ...describeFailures(route, {}, { failures }),
    },
  };
}

function needs({ scope, role }: Described): string | undefined {
  if (role !== undefined) return `For people with the role \`${role}\`.`;
  return scope === undefined ? undefined : `Needs the scope \`${scope}\`.`;
}

const listOf = (name: string, items: object[]) => (items.length > 0 ? { [name]: items } : {});

/** Headers that the gateway reads for this route. */
function headerParameters(route: Route): object[] {
  return [
    ...(route.repeatable ? ["Idempotency-Key"] : []),
    ...(route.conditional ? ["If-Match", "If-None-Match"] : []),
    ...(route.tagged && route.method === "GET" ? ["If-None-Match"] : []),
    ...(route.stream ? ["Last-Event-ID"] : []),
  ].map((name) => ({ $ref: `#/components/parameters/${name}` }));
}

const isInPath = (route: Route, name: string): boolean => route.path.split("/").includes(`:${name}`);

const readParameters = (route: Route, { params }: Described, schemas: Schemas): Parameter[] =>
  schemas
    .readParts(params)
    .map((part): Parameter => ({ ...part, in: isInPath(route, part.name) ? "path" : "query" }))
    .filter((part) => part.in === "path" || route.input === "query");

function describeParameter({ name, in: place, required, schema }: Parameter) {
  const { description, ...rest } = schema;
  return {
    name,
    in: place,
    ...(required ? { required } : {}),
    ...(description === undefined ? {} : { description }),
    // A list is written with commas: ?status=open,done
    ...(schema.type === "array" ? { style: "form", explode: false } : {}),
    schema: rest,
  };
}

const examplesOf = (parameters: Parameter[], place: Parameter["in"], schemas: Schemas) =>
  Object.fromEntries(
    parameters
      .filter((each) => each.in === place)
      .map(({ name, schema }) => [name, schemas.exampleOf(schema, name)]),
  );

function readBody(route: Route, { params }: Described, schemas: Schemas): Body {
  const names = schemas.readParts(params).map(({ name }) => name);
  const schema = route.bodyAs
    ? schemas.read(params.extract(route.bodyAs), "input")
    : schemas.read(params, "input", {
        without: names.filter((name) => isInPath(route, name) || isFromHeader(route, name)),
      });
  return { schema, example: schemas.exampleOf(schema, `The body of ${route.action}`) };
}

const contentOf = (types: string[], body: Body) => Object.fromEntries(types.map((type) => [type, body]));

function describeSuccess(route: Route, { result, event }: Described, schemas: Schemas) {
  const answer = successOf(route);
  if (route.status === 204) return answer;
  if (event) return { ...answer, content: contentOf(["text/event-stream"], describeStream(event, schemas)) };
  const schema = schemas.read(result, "output");
  const body = { schema, example: schemas.exampleOf(schema, `The result of ${route.action}`) };
  return { ...answer, content: contentOf(["application/json"], body) };
}

/** Made by what makes the real ones. OpenAPI 3.1 has no words for the parts of a stream. */
function describeStream(event: Joi.Schema, schemas: Schemas): Body {
  const data: Record<string, unknown> = {
    ...Object(schemas.exampleOf(schemas.read(event, "output"), "event")),
  };
  const change = { ...data, seq: Number(data.seq), op: String(data.op) };
  return { schema: { type: "string" }, example: opening(change.seq - 1, 2_000) + eventOf(change) };
}

const NOT_MODIFIED = {
  description: "You have this version already: the `ETag` is one of `If-None-Match`",
  headers: headerRefs([...HEADERS_OF_ALL, "Cache-Control", "ETag"]),
};

function successOf(route: Route) {
  const headers = [...HEADERS_OF_ALL, "Cache-Control"];
  if (route.location) headers.push("Location");
  if (route.paged) headers.push("Link");
  if (route.tagged) headers.push("ETag");
  if (route.repeatable) headers.push("Idempotency-Replayed");
  return { description: STATUS_CODES[route.status] ?? "", headers: headerRefs(headers) };
}

/** @param invalid an answer to input that is wrong; without it, one of another route */
function describeFailures(
  route: Route,
  contract: Partial<Described>,
  { failures, invalid }: { failures: ProblemResponses; invalid?: unknown },
) {
  const byStatus = Map.groupBy(codesOf(route, contract), (code) => problems[code].status);
  return Object.fromEntries(
    [...byStatus].map(([status, codes]) => [
      status,
      codes.includes("validation_failed") && invalid !== undefined
        ? problemResponse(codes, { ...failures.examplesOf(codes), validation_failed: invalid })
        : failures.share(codes, route),
    ]),
  );
}
