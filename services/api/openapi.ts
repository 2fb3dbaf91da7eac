import { type Described, describeOperation } from "./openapi/operation.ts";
import { createProblemResponses } from "./openapi/problems.ts";
import { createSchemas } from "./openapi/schemas.ts";
import { headers, info, parameters, problemSchema, securitySchemes, servers, tags } from "./openapi/texts.ts";
import type { Route } from "./routes.ts";

/**
 * The OpenAPI 3.1 document of a route table.
 *
 * @param contracts by service and action, as `.schema.ts` files hold them
 * @param version of Taskmesh
 * @throws when a route's action has no contract, its service no tag, or a schema no example
 */
export function buildOpenApi(
  routes: readonly Route[],
  contracts: Record<string, Record<string, Described>>,
  version: string,
): Record<string, unknown> {
  const schemas = createSchemas();
  const failures = createProblemResponses();
  const paths: Record<string, Record<string, unknown>> = {};
  const services = new Set<string>();

  for (const route of routes) {
    const [service = "", action = ""] = route.action.split(".");
    const contract = contracts[service]?.[action];
    if (!contract) throw new Error(`${route.action} has no contract.`);
    if (!tags.some(({ name }) => name === service)) throw new Error(`There is no tag for ${service}.`);
    services.add(service);
    const path = route.path.replace(/:(\w+)/g, "{$1}");
    paths[path] = {
      ...paths[path],
      [route.method.toLowerCase()]: {
        tags: [service],
        ...describeOperation(route, contract, { schemas, failures }),
      },
    };
  }

  return {
    openapi: "3.1.0",
    info: { ...info, version },
    servers,
    tags: tags.filter(({ name }) => services.has(name)),
    paths,
    components: {
      schemas: { ...schemas.components, Problem: problemSchema },
      responses: failures.components,
      parameters,
      headers,
      securitySchemes,
    },
  };
}
