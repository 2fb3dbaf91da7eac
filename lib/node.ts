import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import { AmqpTransporter } from "./amqp-transporter.ts";
import { openOpsServer } from "./ops-server.ts";

/** Milliseconds a readiness answer may take before it counts as no. */
const READY_TIMEOUT = 2_000;

export interface MeshNode {
  broker: ServiceBroker;
  /** Unready first, then the services finish what they have taken, then everything closes. */
  stop(): Promise<void>;
}

/**
 * Runs services in this process: one of them on a mesh, or all of them with no broker at all. Each is given by the
 * name of its folder in services/, or as the path of a `.service.ts` file anywhere else. Resolves when they have
 * started; the health port is open from the first moment.
 */
export async function startNode(services: readonly string[]): Promise<MeshNode> {
  const { HOST, OPS_PORT } = loadEnv();
  const ops = await openOpsServer(HOST, OPS_PORT);
  const { default: config } = await import("../moleculer.config.ts");
  const broker = new ServiceBroker(config);
  const names: string[] = [];
  for (const service of services) {
    const { default: schema } = await import(pathToFileURL(fileOf(service)).href);
    names.push(broker.createService(schema).name);
  }
  await broker.start();

  ops.readyWhen(async () => {
    const transporter = broker.transit?.tx;
    if (transporter instanceof AmqpTransporter && !transporter.isOpen) return false;
    await Promise.all(names.map((name) => broker.call(`${name}.ready`, {}, { timeout: READY_TIMEOUT })));
    return true;
  });

  return {
    broker,
    async stop() {
      ops.readyWhen(async () => false);
      await endHeartbeats(broker);
      await broker.stop();
      await ops.close();
    },
  };
}

/**
 * A heartbeat into a channel that is just being closed would end the process by an unhandled rejection. None begins
 * any more; one that is measuring the processor's load has been sent when another such measurement is done.
 */
async function endHeartbeats(broker: ServiceBroker): Promise<void> {
  if (!broker.transit) return;
  broker.registry.discoverer.disableHeartbeat();
  await broker.getCpuUsage();
}

const fileOf = (service: string): string =>
  isServiceFile(service)
    ? resolve(service)
    : join(import.meta.dirname, "..", "services", service, `${service}.service.ts`);

/** Whether a service is given as a path, which the process's working directory decides, and not by its name. */
export const isServiceFile = (service: string): boolean => service.endsWith(".service.ts");
