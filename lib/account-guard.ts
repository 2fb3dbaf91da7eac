import type { Context, Middleware, ServiceBroker } from "moleculer";
import { serviceOfNode } from "./bus-users.ts";
import { problem } from "./errors.ts";
import { aroundAction } from "./middleware.ts";
import type { Identity } from "./passport.ts";

/** The only service by which people manage accounts. */
const GATEWAY = "api";

/**
 * Lets a person's account be managed through the gateway alone, and nobody act as administrator otherwise. Any service
 * is handed the passports of its callers: it could make API tokens with them, or administrators. Only where each
 * service has a RabbitMQ user of its own, and so a call's node is known. Comes inside the passport guard.
 */
export const accountGuard = (broker: ServiceBroker): Middleware =>
  aroundAction("AccountGuard", (next, action) => {
    const ofAccounts =
      ("scope" in action && action.scope === "account") || ("role" in action && action.role === "admin");
    const trusted = [GATEWAY, serviceOfNode(broker.nodeID)];
    if (!ofAccounts) return next;
    return async (ctx: Context) => {
      const { client }: Identity = ctx.locals.identity;
      if (client === null && !trusted.includes(serviceOfNode(ctx.nodeID ?? ""))) {
        throw problem("forbidden", "Accounts are managed through the gateway.");
      }
      return next(ctx);
    };
  });
