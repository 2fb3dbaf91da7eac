import { Errors, type Middleware, type ServiceBroker } from "moleculer";
import { problem, unavailable } from "./errors.ts";
import { aroundAction } from "./middleware.ts";
import { sqlState } from "./sql-state.ts";

/**
 * Database failures that pass by themselves, and left nothing behind: no connection, too busy, shutting down, read-only,
 * cancelled, its disk failing; a deadlock, a lock that was not to be had, a transaction that stood still.
 */
const TRANSIENT_SQLSTATE = /^(08|25006|25P03|40|53|55P03|57|58)/;

/** The driver's own words for a connection that ended or went silent under a query; they come without a code. */
const LOST_CONNECTION =
  /^(Connection terminated|Query read timeout|Client has encountered a connection error)/;

const isOutage = (error: Error): boolean =>
  /^Sequelize(Connection|HostNot|AccessDenied|ConnectionAcquire)/.test(error.name) ||
  TRANSIENT_SQLSTATE.test(sqlState(error)) ||
  LOST_CONNECTION.test(error.message) ||
  /^(ECONN|EPIPE|ETIMEDOUT|EHOST)/.test(sqlState(error));

/** What can cross the bus. A value that JSON refuses would make RabbitMQ deliver the request again, without end. */
function serialisable(data: unknown): unknown {
  try {
    return data === undefined ? undefined : JSON.parse(JSON.stringify(data));
  } catch {
    return undefined;
  }
}

/**
 * Nothing but an error with a stable code leaves a service. Others are logged here, where their cause is known,
 * and become `unavailable` or `internal` without a trace of SQL, hosts or stacks.
 */
export const safeErrors = (broker: ServiceBroker): Middleware =>
  aroundAction("SafeErrors", (next, action) => async (ctx) => {
    try {
      return await next(ctx);
    } catch (error) {
      // Moleculer wraps a thrown text in an error of its own class, but with no type.
      if (error instanceof Errors.MoleculerError && error.type) {
        error.data = serialisable(error.data);
        throw error;
      }
      const cause = error instanceof Error ? error : new Error(String(error));
      broker.logger.error({ err: cause }, `${action.name} failed`);
      throw isOutage(cause) ? unavailable() : problem("internal", "The request could not be completed.");
    }
  });
