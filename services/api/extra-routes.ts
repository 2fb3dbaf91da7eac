import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import Joi from "joi";
import { documentPaths } from "./docs.ts";
import { type Contracts, extendOpenApi, type OpenApi } from "./openapi.ts";
import { pages } from "./pages.ts";
import { type Route, routes } from "./routes.ts";

/** What a path is made of. Lower case, because moleculer-web takes `/Tasks` for `/tasks`. */
const PATH = /^(\/(:[A-Za-z]\w*|[a-z0-9._~-]+))+$/;
const ACTION = /^[a-z][\w-]*(\.[\w-]+)+$/i;

const route = Joi.object<Route, true>({
  method: Joi.string().valid("GET", "POST", "PUT", "PATCH", "DELETE").required(),
  path: Joi.string().pattern(PATH).required(),
  action: Joi.string().pattern(ACTION).required(),
  access: Joi.string().valid("bearer", "open").required(),
  input: Joi.string().valid("body", "query", "none").required(),
  bodyAs: Joi.string(),
  status: Joi.number().valid(200, 201, 202, 204).required(),
  location: Joi.string().pattern(PATH),
  text: Joi.string().pattern(ACTION),
  paged: Joi.boolean().valid(true),
  tagged: Joi.boolean().valid(true),
  conditional: Joi.boolean().valid(true),
  repeatable: Joi.boolean().valid(true),
  again: Joi.string().valid("always", "if gone"),
  partial: Joi.boolean().valid(true),
  // The gateway follows the log of tasks, and no other.
  stream: Joi.boolean().forbidden(),
  maxAge: Joi.number().integer().min(0),
});

/** What the document takes from a contract; schemas of Joi's must be of this Joi. */
const contracts = Joi.object<Contracts>().pattern(
  Joi.string(),
  Joi.object().pattern(
    Joi.string(),
    Joi.object({
      summary: Joi.string().required(),
      params: Joi.object().schema("object").required(),
      result: Joi.object().schema().required(),
    }).unknown(),
  ),
);

/** What a module may export. */
interface Module {
  routes: Route[];
  contracts: Contracts;
}

/** A place of the table that a request can match: `GET /tasks/:id`. */
type Place = Pick<Route, "method" | "path">;

/**
 * The route table, and after it what modules export as `routes`: how a service that joined later gets its own.
 * The operator names these modules; no node on the bus can add a route. With their `contracts` comes the document.
 *
 * @param document of the table
 * @throws an error that names the module, when it can't be read, doesn't fit, or collides with what is there
 */
export async function loadRoutes(
  modules: readonly string[],
  document: OpenApi,
): Promise<{ routes: Route[]; document: OpenApi }> {
  const table = [...routes];
  const paths = [...documentPaths, ...pages.map(({ path }) => path)];
  let described = document;
  for (const module of modules) {
    const refuse = (reason: string): Error => new Error(`EXTRA_ROUTES: ${module} ${reason}.`);
    const loaded = await readModule(module, refuse);
    for (const added of loaded.routes) {
      const places: Place[] = [...table, ...paths.map((path) => ({ method: "GET" as const, path }))];
      const taken = places.find((place) => collide(place, added));
      if (taken) throw refuse(`adds ${nameOf(added)}, which collides with ${nameOf(taken)}`);
      table.push(added);
    }
    try {
      described = extendOpenApi(described, loaded.routes, loaded.contracts);
    } catch (error) {
      throw refuse(`has contracts that can't be described: ${messageOf(error)}`);
    }
  }
  return { routes: table, document: described };
}

async function readModule(module: string, refuse: (reason: string) => Error): Promise<Module> {
  const loaded = await import(pathToFileURL(resolve(module)).href).catch((error: unknown) => {
    throw refuse(`can't be loaded: ${messageOf(error)}`);
  });
  if (!Array.isArray(loaded.routes)) throw refuse("exports no array `routes`");
  const { value, error } = Joi.array<Route[]>()
    .items(route)
    .validate(loaded.routes, { abortEarly: false, convert: false });
  if (error) throw refuse(`has routes that don't fit: ${error.message}`);
  return { routes: value, contracts: readContracts(loaded.contracts ?? {}, refuse) };
}

function readContracts(exported: unknown, refuse: (reason: string) => Error): Contracts {
  const { value, error } = contracts.validate(exported, { abortEarly: false, convert: false });
  if (error) throw refuse(`has contracts that don't fit: ${error.message}`);
  return value;
}

const messageOf = (error: unknown): unknown => (error instanceof Error ? error.message : error);

/** Whether a request could mean either. Two methods of one and the same path don't hinder each other. */
function collide(one: Place, other: Place): boolean {
  if (one.path === other.path) return one.method === other.method;
  const [segments, others] = [one.path.split("/"), other.path.split("/")];
  return (
    segments.length === others.length &&
    segments.every(
      (segment, index) => segment === others[index] || isParam(segment) || isParam(others[index]),
    )
  );
}

const isParam = (segment = ""): boolean => segment.startsWith(":");

const nameOf = ({ method, path }: Place): string => `${method} ${path}`;
