import { ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import { openOpsServer } from "./ops-server.ts";

/** Milliseconds a readiness answer may take before it counts as no. */
const READY_TIMEOUT = 2_000;

export interface MeshNode {
  broker: ServiceBroker;
  /** Unready first, then the services finish what they have taken, then everything closes. */
  stop(): Promise<void>;
}

/**
 * Runs services in this process, by the names of their folders: one of them on a mesh, or all of them with no
 * broker at all. Resolves when they have started; the health port is open from the first moment.
 */
export async function startNode(names: readonly string[]): Promise<MeshNode> {
  const { HOST, OPS_PORT } = loadEnv();
  const ops = await openOpsServer(HOST, OPS_PORT);
  const { default: config } = await import("../moleculer.config.ts");
  const broker = new ServiceBroker(config);
  for (const name of names) {
    const { default: schema } = await import(`../services/${name}/${name}.service.ts`);
    broker.createService(schema);
  }
  await broker.start();

  ops.readyWhen(async () => {
    if (broker.transit && !broker.transit.connected) return false;
    await Promise.all(names.map((name) => broker.call(`${name}.ready`, {}, { timeout: READY_TIMEOUT })));
    return true;
  });

  return {
    broker,
    async stop() {
      ops.readyWhen(async () => false);
      await broker.stop();
      await ops.close();
    },
  };
}
