import jwt from "jsonwebtoken";
import { SCOPES } from "../../lib/passport.ts";
import { type Route, routes } from "../../services/api/routes.ts";
import { authActions } from "../../services/auth/auth.schema.ts";
import { taskActions } from "../../services/tasks/tasks.schema.ts";
import {
  type Answer,
  buildEmail,
  buildPerson,
  buildTask,
  httpFor,
  PASSWORD,
  type Person,
  signIn,
} from "../support/client.ts";
import { query } from "../support/database.ts";
import type { System } from "../support/system.ts";
import { systems } from "../support/systems.ts";

/** Everybody who can call: each is a token, or none. API tokens are the owner's, with one scope each. */
const callers = [
  "nobody",
  "garbage",
  "disabled",
  "owner",
  "another user",
  "admin",
  "tasks:read",
  "tasks:write",
  "account",
] as const;
type Caller = (typeof callers)[number];

/** What a route needs to be called so that it succeeds for who may. */
interface Case {
  body?: (scene: Scene) => object | Promise<object>;
  /** Makes what the path's id names: something of the owner's, made for this call alone. */
  thing?: (scene: Scene) => Promise<string>;
  /** Afterwards the caller is no longer who they were: each gets a scene of their own. */
  spends?: true;
  /** Where what the contract declares is not all there is to it. */
  but?: Record<string, number>;
}

/** Marks what is the owner's in answers to others. */
const SECRET = "owners-secret";
const NEW_PASSWORD = "another horse, another battery";

const task = async ({ owner }: Scene) => (await buildTask(owner, { title: SECRET })).id;
const trashed = async (scene: Scene) => {
  const id = await task(scene);
  await scene.owner.http.delete(`/tasks/${id}`);
  return id;
};
const apiToken = async (scene: Scene) => (await createToken(scene.owner, "account")).id;
const session = async ({ system, owner }: Scene) =>
  String(jwt.decode((await signIn(system, owner)).accessToken, { json: true })?.sid);

/** Whoever calls. */
const all = (status: number): Record<string, number> =>
  Object.fromEntries(callers.map((caller) => [caller, status]));

/** A row for every route of the gateway's table. */
const cases: Record<string, Case> = {
  "POST /auth/register": { body: () => ({ email: buildEmail(), password: PASSWORD }) },
  "POST /auth/login": { body: ({ owner: { email, password } }) => ({ email, password }) },
  "POST /auth/refresh": {
    body: async ({ system, owner }) => ({ refreshToken: (await signIn(system, owner)).refreshToken }),
  },
  // An API token has no session.
  "POST /auth/logout": { spends: true, but: { account: 403 } },
  "GET /auth/me": {},
  "PATCH /auth/me": { body: () => ({ timeZone: "UTC" }) },
  "DELETE /auth/me": { body: () => ({ password: PASSWORD }), spends: true },
  "POST /auth/password": {
    body: () => ({ currentPassword: PASSWORD, newPassword: NEW_PASSWORD }),
    spends: true,
  },
  "POST /auth/password/forgot": { body: ({ owner: { email } }) => ({ email }) },
  // Tokens that are none: an access token changes nothing about that.
  "POST /auth/password/reset": {
    body: () => ({ token: "tmm_none", newPassword: NEW_PASSWORD }),
    but: all(422),
  },
  "POST /auth/email/verify": { body: () => ({ token: "tmm_none" }), but: all(422) },
  "GET /auth/sessions": {},
  "DELETE /auth/sessions": { spends: true },
  "DELETE /auth/sessions/:id": { thing: session },
  "POST /auth/tokens": { body: () => ({ name: "A script", scopes: ["account"] }), but: { account: 403 } },
  "GET /auth/tokens": {},
  "DELETE /auth/tokens/:id": { thing: apiToken },
  "GET /users": {},
  // Not a thing of the owner's, as those below: who may change users at all, may change all.
  "PATCH /users/:id": { thing: async ({ owner }) => owner.user.id, body: () => ({ disabled: false }) },
  "GET /audit-events": {},
  "GET /.well-known/jwks.json": {},

  "POST /tasks": { body: () => ({ title: "A task" }) },
  "GET /tasks": {},
  "GET /tasks/:id": { thing: task },
  "PATCH /tasks/:id": { thing: task, body: () => ({ title: "Taken over" }) },
  "DELETE /tasks/:id": { thing: task },
  "POST /tasks/bulk": { body: () => ({ operations: [{ op: "create", task: { title: "A task" } }] }) },
  "GET /tasks/:id/history": { thing: task },
  "POST /tasks/:id/revert": { thing: task, body: () => ({ version: 1 }) },
  "GET /trash": {},
  "DELETE /trash": {},
  "POST /trash/:id/restore": { thing: trashed },
  "DELETE /trash/:id": { thing: trashed },
  "GET /changes": {},
  "GET /stats": {},
  "GET /events": {},
};

const nameOf = ({ method, path }: Route): string => `${method} ${path}`;

/** What an action declares, for those who can call it over HTTP. */
const contracts: Record<string, { scope?: string; role?: string }> = Object.fromEntries(
  Object.entries({ auth: authActions, tasks: taskActions }).flatMap(([service, actions]) =>
    Object.entries(actions).map(([name, contract]) => [`${service}.${name}`, contract]),
  ),
);

/** The status and the code that a caller is answered with. */
function expected(route: Route, caller: Caller): { status: number; code?: string } {
  const { but, thing } = cases[nameOf(route)] ?? {};
  const exception = but?.[caller];
  if (exception !== undefined) return { status: exception };
  if (route.access === "open") return { status: route.status };
  if (caller === "nobody") return { status: 401, code: "unauthenticated" };
  if (caller === "garbage" || caller === "disabled") return { status: 401, code: "invalid_token" };

  const { scope, role } = contracts[route.action] ?? {};
  const isApiToken = SCOPES.some((each) => each === caller);
  if (isApiToken && scope !== caller) return { status: 403, code: "insufficient_scope" };
  if (role === "admin")
    return caller === "admin" ? { status: route.status } : { status: 403, code: "forbidden" };
  if (thing && (caller === "another user" || caller === "admin")) return { status: 404, code: "not_found" };
  return { status: route.status };
}

/** People of one system, and a way to call as each of them. */
interface Scene {
  system: System;
  owner: Person;
  http: Record<Caller, ReturnType<typeof httpFor>>;
}

async function createToken({ http }: Person, scope: string): Promise<{ id: string; token: string }> {
  const { status, body } = await http.post<{ id: string; token: string }>("/auth/tokens", {
    name: SECRET,
    scopes: [scope],
  });
  if (status !== 201) throw new Error(`token: ${status} ${JSON.stringify(body)}`);
  return body;
}

async function buildScene(system: System): Promise<Scene> {
  const [owner, another, admin, disabled] = await Promise.all([
    buildPerson(system),
    buildPerson(system),
    buildPerson(system),
    buildPerson(system),
  ]);
  const [tokens] = await Promise.all([
    Promise.all(
      SCOPES.map(async (scope) => [scope, httpFor(system, (await createToken(owner, scope)).token)] as const),
    ),
    query(system.databaseUrl, "UPDATE auth.users SET role = 'admin' WHERE id = $1", [admin.user.id]),
    query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [disabled.user.id]),
    owner.http.patch("/auth/me", { name: SECRET }),
    buildTask(owner, { title: SECRET }),
  ]);
  const [read, write, account] = tokens.map(([, http]) => http);
  if (!read || !write || !account) throw new Error("a token for each scope");
  return {
    system,
    owner,
    http: {
      nobody: httpFor(system),
      garbage: httpFor(system, "not.a.token"),
      disabled: disabled.http,
      owner: owner.http,
      "another user": another.http,
      admin: admin.http,
      "tasks:read": read,
      "tasks:write": write,
      account,
    },
  };
}

const MISSING = "01a20414-20d2-704d-a37f-36b70affce42";
const RUNNER = { headers: { "X-Request-Id": "the-same" } };

async function send(scene: Scene, caller: Caller, route: Route, id = MISSING): Promise<Answer> {
  const body = await cases[nameOf(route)]?.body?.(scene);
  // A stream that is let begin has no end.
  const method = route.stream && expected(route, caller).status === 200 ? "HEAD" : route.method;
  return scene.http[caller].send(method, route.path.replace(/:\w+/, id), { ...RUNNER, body });
}

/** Everything of a person's that somebody else might have changed; not when it was last used. */
async function rowsOf({ system, owner }: Scene): Promise<unknown> {
  const rowsIn = (table: string, column: string) =>
    `(SELECT jsonb_agg(to_jsonb(t) - 'last_used_at' ORDER BY t.id) FROM ${table} t WHERE t.${column} = $1)`;
  const [rows] = await query(
    system.databaseUrl,
    `SELECT ${rowsIn("auth.users", "id")} AS users, ${rowsIn("auth.sessions", "user_id")} AS sessions,
            ${rowsIn("auth.api_tokens", "user_id")} AS tokens, ${rowsIn("tasks.tasks", "user_id")} AS tasks`,
    [owner.user.id],
  );
  return rows;
}

/** Without what names the path that was asked for. */
const bytes = ({ body }: Answer): string => JSON.stringify(body).replace(/"instance":"[^"]*"/, "");
const headerNames = ({ headers }: Answer): string[] => [...headers.keys()].sort();
const codeOf = ({ body }: Answer): unknown => Object(body).code;

/** RFC 6750, section 3. */
const CHALLENGES: Record<string, RegExp> = {
  unauthenticated: /^Bearer realm="taskmesh"$/,
  invalid_token: /^Bearer realm="taskmesh", error="invalid_token"$/,
  insufficient_scope: /error="insufficient_scope"/,
};

test("line 24: every route of the table has a row here, and every row a route", () => {
  expect(Object.keys(cases).sort()).toEqual(routes.map(nameOf).sort());
  const unfit = routes.filter((route) => {
    const { body, thing } = cases[nameOf(route)] ?? {};
    return (
      (route.input === "body") !== (body !== undefined) || route.path.includes(":") !== (thing !== undefined)
    );
  });
  expect(unfit.map(nameOf)).toEqual([]);
});

test("line 24: to read tasks takes tasks:read, to change them tasks:write, and the account's scope is for all else", () => {
  const scopeOf = ({ method, action }: Route): string => {
    if (!action.startsWith("tasks.")) return "account";
    return method === "GET" ? "tasks:read" : "tasks:write";
  };
  const closed = routes.filter(({ access }) => access === "bearer");
  expect(closed.map((route) => [nameOf(route), contracts[route.action]?.scope])).toEqual(
    closed.map((route) => [nameOf(route), scopeOf(route)]),
  );
});

describe.each(systems)("line 24: who may do what, %s", (_mode, system) => {
  let shared: Scene;
  beforeAll(async () => {
    shared = await buildScene(system);
  });

  describe.each(routes.map((route) => [nameOf(route), route] as const))("%s", (name, route) => {
    const { thing, spends } = cases[name] ?? {};
    const refused = callers.filter((caller) => expected(route, caller).code !== undefined);
    const others = callers.filter((caller) => !refused.includes(caller));

    test("refuses who may not, tells them nothing and changes nothing", async () => {
      const id = await thing?.(shared);
      const before = await rowsOf(shared);
      for (const caller of refused) {
        const answer = await send(shared, caller, route, id);
        const { status, code = "" } = expected(route, caller);
        expect([caller, answer.status, codeOf(answer)]).toEqual([caller, status, code]);
        expect(answer.headers.get("www-authenticate") ?? "").toMatch(CHALLENGES[code] ?? /^$/);
        expect(bytes(answer)).not.toContain(SECRET);
        if (status !== 404) continue;
        for (const missing of [MISSING, "not-a-uuid"]) {
          const nothing = await send(shared, caller, route, missing);
          expect([nothing.status, bytes(nothing)]).toEqual([404, bytes(answer)]);
          expect(headerNames(nothing)).toEqual(headerNames(answer));
        }
      }
      expect(await rowsOf(shared)).toEqual(before);
    });

    test("serves who may, with what is theirs", async () => {
      for (const caller of others) {
        const scene = spends ? await buildScene(system) : shared;
        const id = await thing?.(scene);
        const before = await rowsOf(scene);
        const answer = await send(scene, caller, route, id);
        expect([caller, answer.status]).toEqual([caller, expected(route, caller).status]);
        if (route.access === "open" || !(caller === "another user" || caller === "admin")) continue;
        expect(await rowsOf(scene)).toEqual(before);
        if (contracts[route.action]?.role !== "admin") expect(bytes(answer)).not.toContain(SECRET);
      }
    });
  });
});
