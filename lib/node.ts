import { readFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { pathToFileURL } from "node:url";
import { ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import { busService } from "../config/rules.ts";
import { AmqpTransporter } from "./amqp-transporter.ts";
import { isDraining, startDraining } from "./draining.ts";
import { observeProcess } from "./metrics.ts";
import { openOpsServer } from "./ops-server.ts";
import { traceBy } from "./tracing.ts";

/** Milliseconds a readiness answer may take before it counts as no. */
const READY_TIMEOUT = 2_000;

export interface MeshNode {
  broker: ServiceBroker;
  /** Unready first; on a mesh a while later the services finish what they have taken, then everything closes. */
  stop(): Promise<void>;
}

/**
 * Runs services in this process: one of them on a mesh, or all of them with no broker at all. Each is given by the
 * name of its folder in services/, or as the path of a `.service.ts` file anywhere else. Resolves when they have
 * started; the health port is open from the first moment.
 */
export async function startNode(services: readonly string[]): Promise<MeshNode> {
  const { HOST, OPS_PORT, DRAIN_DELAY } = loadEnv();
  const ops = await openOpsServer(HOST, OPS_PORT);
  const { default: config } = await import("../moleculer.config.ts");
  const broker = new ServiceBroker(config);
  observeProcess({ version: VERSION, isReady: ops.isReady, isOnBus: () => isOnBus(broker) });
  const names: string[] = [];
  for (const service of services) {
    const { default: schema } = await import(pathToFileURL(fileOf(service)).href);
    names.push(broker.createService(schema).name);
  }
  requireOwnUser(names);
  const stopTracing = await startTracing(broker, names);
  await broker.start();

  ops.readyWhen(async () => {
    if (isDraining(broker) || !isOnBus(broker)) return false;
    await Promise.all(names.map((name) => broker.call(`${name}.ready`, {}, { timeout: READY_TIMEOUT })));
    return true;
  });

  return {
    broker,
    async stop() {
      startDraining(broker);
      // Whoever sends requests here asks now and then whether to: until then they still come.
      if (broker.transit) await delay(DRAIN_DELAY * 1000);
      await broker.stop();
      await stopTracing();
      await ops.close();
    },
  };
}

/** @throws for services that the other nodes would drop without a word: they go by this process's RabbitMQ user */
function requireOwnUser(names: string[]): void {
  const user = busService(loadEnv());
  const others = names.filter((name) => user !== null && name !== user);
  if (others.length === 0) return;
  throw new Error(
    `AMQP_URL has the RabbitMQ user of ${user}, and with BUS_USERS=per-service no other node would believe that ` +
      `${others.join(", ")} can be found here. Each service needs a process of its own, with a user of its own.`,
  );
}

const VERSION: string = JSON.parse(
  readFileSync(join(import.meta.dirname, "..", "package.json"), "utf8"),
).version;

/**
 * Whether this node can send and receive. After an error of its channel RabbitMQ delivers nothing any more, while the
 * connection, and Moleculer's `connected`, are as before.
 */
export function isOnBus({ transit }: ServiceBroker): boolean {
  const transporter = transit?.tx;
  return transporter instanceof AmqpTransporter ? transporter.isOpen : !transit || transit.connected;
}

/** Resolves to what ends it, once everything is sent. */
async function startTracing(broker: ServiceBroker, names: string[]): Promise<() => Promise<void>> {
  const { OTEL_EXPORTER_OTLP_ENDPOINT: endpoint, OTEL_TRACES_SAMPLER_ARG: share } = loadEnv();
  if (endpoint === undefined) return async () => {};
  const { openTracer } = await import("./otel.ts");
  const { namespace, nodeID: instance, logger } = broker;
  const service = `taskmesh-${names.join("+")}`;
  const onError = (error: unknown): void => logger.warn({ err: error }, "traces could not be sent");
  const tracer = openTracer({ endpoint, service, namespace, version: VERSION, instance, share, onError });
  traceBy(tracer);
  return () =>
    tracer
      .close()
      .catch((error: unknown) => logger.warn({ err: error }, "the last traces could not be sent"));
}

const fileOf = (service: string): string =>
  isServiceFile(service)
    ? resolve(service)
    : join(import.meta.dirname, "..", "services", service, `${service}.service.ts`);

/** Whether a service is given as a path, which the process's working directory decides, and not by its name. */
export const isServiceFile = (service: string): boolean => service.endsWith(".service.ts");
