import { Errors, type Middleware, type ServiceBroker } from "moleculer";
import { problem } from "./errors.ts";
import { aroundAction } from "./middleware.ts";

/** @throws internal, for what JSON can't carry */
function overTheWire(value: unknown) {
  try {
    return value === undefined ? undefined : JSON.parse(JSON.stringify(value));
  } catch {
    throw problem("internal", "The answer can't be sent.");
  }
}

/**
 * Makes a call inside one process behave as if it crossed the bus: dates arrive as text, `undefined` disappears,
 * nothing is shared by reference, errors come back by code. So a service that works embedded works on a mesh.
 */
export const wireParity = (broker: ServiceBroker): Middleware =>
  aroundAction("WireParity", (next, action) => {
    // Private actions take what can't travel, such as the HTTP request and response of `api.rest`.
    if (action.visibility === "private") return next;
    return async (ctx) => {
      ctx.params = overTheWire(ctx.params);
      ctx.meta = overTheWire(ctx.meta);
      try {
        return overTheWire(await next(ctx));
      } catch (error) {
        if (!(error instanceof Errors.MoleculerError) || !broker.errorRegenerator) throw error;
        const plain = broker.errorRegenerator.extractPlainError(error);
        throw broker.errorRegenerator.restore(overTheWire(plain), { sender: broker.nodeID });
      }
    };
  });
