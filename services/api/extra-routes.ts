import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import Joi from "joi";
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
  paged: Joi.boolean().valid(true),
  tagged: Joi.boolean().valid(true),
  conditional: Joi.boolean().valid(true),
  repeatable: Joi.boolean().valid(true),
  partial: Joi.boolean().valid(true),
  // The gateway follows the log of tasks, and no other.
  stream: Joi.boolean().forbidden(),
  maxAge: Joi.number().integer().min(0),
});

/** A place of the table that a request can match: `GET /tasks/:id`. */
type Place = Pick<Route, "method" | "path">;

/**
 * The route table, and after it what modules export as `routes`: how a service that joined later gets its own.
 * The operator names these modules; no node on the bus can add a route.
 *
 * @throws an error that names the module, when it can't be read, doesn't fit, or collides with what is there
 */
export async function loadRoutes(modules: readonly string[]): Promise<Route[]> {
  const table = [...routes];
  for (const module of modules) {
    const refuse = (reason: string): Error => new Error(`EXTRA_ROUTES: ${module} ${reason}.`);
    for (const added of await readModule(module, refuse)) {
      const places: Place[] = [...table, ...pages.map(({ path }) => ({ method: "GET" as const, path }))];
      const taken = places.find((place) => collide(place, added));
      if (taken) throw refuse(`adds ${nameOf(added)}, which collides with ${nameOf(taken)}`);
      table.push(added);
    }
  }
  return table;
}

async function readModule(module: string, refuse: (reason: string) => Error): Promise<Route[]> {
  const loaded = await import(pathToFileURL(resolve(module)).href).catch((error: unknown) => {
    throw refuse(`can't be loaded: ${error instanceof Error ? error.message : error}`);
  });
  if (!Array.isArray(loaded.routes)) throw refuse("exports no array `routes`");
  const { value, error } = Joi.array<Route[]>()
    .items(route)
    .validate(loaded.routes, { abortEarly: false, convert: false });
  if (error) throw refuse(`has routes that don't fit: ${error.message}`);
  return value;
}

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
