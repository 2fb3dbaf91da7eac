import type { ActionSchema, Context, Middleware, ServiceBroker } from "moleculer";
import { notFound, problem } from "./errors.ts";
import { aroundAction } from "./middleware.ts";
import { createPassportVerifier, type Identity, type PublicJwk } from "./passport.ts";

/**
 * What the action declares: a scope, a role. One that declares no scope is for people who signed in themselves.
 *
 * @throws insufficient_scope, forbidden
 */
function allowed(identity: Identity, action: ActionSchema): Identity {
  if ("client" in action) {
    if (identity.client === action.client) return identity;
    throw problem("forbidden", "This is for another service.");
  }
  const scope = "scope" in action ? action.scope : undefined;
  const role = "role" in action ? action.role : undefined;
  const present = identity.sessionId !== null && identity.client === null;
  if (scope === undefined ? !present : !identity.scopes.some((each) => each === scope)) {
    throw problem("insufficient_scope", `This needs ${scope ? `the scope ${scope}` : "a session"}.`, {
      scope,
    });
  }
  if (role !== undefined && (identity.role !== role || (role === "admin" && !present))) {
    throw problem("forbidden", role === "admin" ? "This is for administrators." : "This is for services.");
  }
  return identity;
}

/**
 * Lets no call reach an action without a valid passport, unless the action says `access: "open"`.
 * The identity goes into `ctx.locals`, which never crosses the bus; `ctx.meta.user` is never read.
 */
export function passportGuard(broker: ServiceBroker): Middleware {
  const verify = createPassportVerifier({
    namespace: broker.namespace,
    fetchKeys: async () => (await broker.call<{ keys: PublicJwk[] }, object>("auth.jwks", {})).keys,
  });
  return aroundAction("PassportGuard", (next, action) => {
    const open = "access" in action && action.access === "open";
    const local = action.visibility === "private" || action.visibility === "protected";
    return async (ctx: Context<unknown, { passport?: unknown }>) => {
      // Moleculer hides these from other nodes' registries, but serves a hand-made request packet.
      if (local && ctx.nodeID !== broker.nodeID) throw notFound("action");
      if (!open && !local) ctx.locals.identity = allowed(await verify(ctx.meta.passport), action);
      return next(ctx);
    };
  });
}
