import { randomBytes } from "node:crypto";
import { hostname } from "node:os";
import type { BrokerOptions, ServiceBroker } from "moleculer";
import { loadEnv } from "./config/env.ts";
import { busService } from "./config/rules.ts";
import { accountGuard } from "./lib/account-guard.ts";
import { AmqpTransporter } from "./lib/amqp-transporter.ts";
import { guardBus } from "./lib/bus-guard.ts";
import { busUser, nodePrefix } from "./lib/bus-users.ts";
import { passportGuard } from "./lib/guard.ts";
import { destination, pinoOptions } from "./lib/logs.ts";
import { observeActions, observeCalls } from "./lib/observe-bus.ts";
import { safeErrors } from "./lib/safe-errors.ts";
import { JsonSerializer } from "./lib/serializer.ts";
import { settleLate } from "./lib/settle-late.ts";
import { JoiValidator } from "./lib/validator.ts";
import { wireParity } from "./lib/wire-parity.ts";

const env = loadEnv();

/** Milliseconds before a call fails. (A request's calls have a deadline of their own: services/api/calls.ts.) */
const REQUEST_TIMEOUT = 4_000;

/** Figures and their measurement: docs/decisions/0004-amqp.md. */
const amqpOptions = {
  // 1 by default: a node would serve one request at a time.
  prefetch: 100,
  // Nagle's algorithm would add some 40 ms to every call. A broker that takes a connection and says nothing would be waited
  // for without end, and no other tried. (Moleculer's typings don't know these options.)
  socketOptions: { noDelay: true, timeout: 5_000 },
  // Requests nobody waits for any more must not run when a node comes back.
  messageOptions: { expiration: REQUEST_TIMEOUT },
  // A node's queues end with its connection. Those that outlive it stay with a broker that died, and the node could not
  // declare them on another: docs/decisions/0023-rabbitmq-cluster.md.
  queueOptions: { exclusive: true },
};

/** (Moleculer's typings don't know it.) */
const transit: BrokerOptions["transit"] & Record<string, unknown> = {
  // Milliseconds until the others hear of this node's services, after the last of them: a node has but a few. 1,000 by
  // default, in which nobody could call them.
  serviceChangedDebounceTime: 50,
};

/** Whose RabbitMQ user this is, and so whose node; null when all share one. docs/security.md, "The bus". */
const service = busService(env);

const config: BrokerOptions = {
  namespace: env.MESH_NAMESPACE,
  nodeID: `${service === null ? "" : nodePrefix(service)}${hostname()}-${process.pid}-${randomBytes(3).toString("hex")}`,
  ...(env.AMQP_URL === undefined
    ? {}
    : {
        transporter: new AmqpTransporter(
          { url: env.AMQP_URL, ...amqpOptions },
          service === null ? undefined : busUser(env.MESH_NAMESPACE, service),
        ),
      }),
  requestTimeout: REQUEST_TIMEOUT,
  transit,
  // A stopping node finishes the calls it has taken.
  tracking: { enabled: true, shutdownTimeout: 10_000 },
  // Seconds. Until a killed node is missed, its share of the calls goes to nobody.
  heartbeatInterval: 2,
  heartbeatTimeout: 6,
  validator: new JoiValidator(),
  serializer: new JsonSerializer(),
  // $node.* would hand this node's settings, the broker's password among them, to every peer.
  internalServices: false,
  // The processes' own signal handlers stop more than the broker.
  skipProcessEventRegistration: true,
  // Within Moleculer's own: what its context tracker waits for.
  middlewares: [settleLate, observeCalls()],
  // Added after Moleculer's own, and so around them: the guard comes before params are validated.
  created(broker: ServiceBroker) {
    broker.middlewares.add(safeErrors);
    if (env.BUS_USERS === "per-service") broker.middlewares.add(accountGuard);
    broker.middlewares.add(passportGuard);
    guardBus(broker, env.BUS_USERS);
    if (!broker.transit) broker.middlewares.add(wireParity);
    broker.middlewares.add(observeActions);
  },
  logLevel: env.LOG_LEVEL,
  logger: {
    type: "Pino",
    options: {
      pino: {
        options: pinoOptions,
        destination: destination(env.LOG_FORMAT ?? (process.stdout.isTTY ? "text" : "json")),
      },
    },
  },
};

export default config;
