import type { Context, Middleware, ServiceBroker } from "moleculer";
import { notFound } from "./errors.ts";
import { aroundAction } from "./middleware.ts";
import { createPassportVerifier, type PublicJwk } from "./passport.ts";

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
      if (!open && !local) ctx.locals.identity = await verify(ctx.meta.passport);
      return next(ctx);
    };
  });
}
