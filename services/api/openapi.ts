import { type Described, describeOperation, describeUnknown } from "./openapi/operation.ts";
import { createProblemResponses } from "./openapi/problems.ts";
import { createSchemas, type JsonSchema } from "./openapi/schemas.ts";
import { headers, info, parameters, problemSchema, securitySchemes, servers, tags } from "./openapi/texts.ts";
import type { Route } from "./routes.ts";

/** By service and action, as `.schema.ts` files hold them. */
export type Contracts = Record<string, Record<string, Described>>;

/** An OpenAPI 3.1 document, as far as anything here looks into it. */
export interface OpenApi {
  [field: string]: unknown;
  tags: { name: string; description: string }[];
  paths: Record<string, Record<string, { operationId: string; [field: string]: unknown }>>;
  components: {
    [kind: string]: unknown;
    schemas: Record<string, JsonSchema>;
    responses: Record<string, unknown>;
  };
}

/**
 * The OpenAPI 3.1 document of a route table.
 *
 * @param version of Taskmesh
 * @throws when a route's action has no contract, its service no tag, or a schema no example
 */
export function buildOpenApi(routes: readonly Route[], contracts: Contracts, version: string): OpenApi {
  const missing = routes.find((route) => !contractOf(route, contracts));
  if (missing) throw new Error(`${missing.action} has no contract.`);
  const used = new Set(routes.map(serviceOf));
  for (const service of used) {
    if (!tags.some(({ name }) => name === service)) throw new Error(`There is no tag for ${service}.`);
  }
  const empty: OpenApi = {
    openapi: "3.1.0",
    info: { ...info, version },
    servers,
    tags: tags.filter(({ name }) => used.has(name)),
    paths: {},
    components: { schemas: {}, responses: {}, parameters, headers, securitySchemes },
  };
  const document = extendOpenApi(empty, routes, contracts);
  document.components.schemas.Problem = problemSchema;
  return document;
}

/**
 * A document with further routes; a service that it has no tag for gets one. Of an action without a contract it says
 * what the route tells.
 *
 * @throws when a schema has no example, or the title of another one
 */
export function extendOpenApi(document: OpenApi, routes: readonly Route[], contracts: Contracts): OpenApi {
  const schemas = createSchemas(document.components.schemas);
  const failures = createProblemResponses(document.components.responses);
  const paths = { ...document.paths };
  const tags = [...document.tags];
  const ids = new Set(Object.values(paths).flatMap((path) => Object.values(path).map(idOf)));

  for (const route of routes) {
    const service = serviceOf(route);
    if (!tags.some(({ name }) => name === service)) {
      tags.push({ name: service, description: "A service that joined later" });
    }
    const contract = contractOf(route, contracts);
    const operation = contract
      ? describeOperation(route, contract, { schemas, failures })
      : describeUnknown(route, failures);
    const method = route.method.toLowerCase();
    // An action may have several routes, and an id is one operation's.
    const operationId = ids.has(route.action) ? `${method}:${route.path}` : route.action;
    ids.add(operationId);
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = { ...paths[path], [method]: { tags: [service], ...operation, operationId } };
  }
  return {
    ...document,
    tags,
    paths,
    components: { ...document.components, schemas: schemas.components, responses: failures.components },
  };
}

const serviceOf = ({ action }: Route): string => action.split(".", 1)[0] ?? "";

const contractOf = (route: Route, contracts: Contracts): Described | undefined =>
  contracts[serviceOf(route)]?.[route.action.split(".").slice(1).join(".")];

const idOf = ({ operationId }: { operationId: string }): string => operationId;
