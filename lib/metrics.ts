import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";

/*
 * What every process measures of itself; a service's own are in its metrics.ts. Names are taskmesh_*, times seconds.
 * Labels have few values, all known beforehand: never an id, an address, an e-mail or a path as it was sent.
 */

/** Of this process; `GET /metrics` on OPS_PORT shows it. */
export const registry = new Registry();

const registers = [registry];

/** Seconds, from a cached answer to what a caller gives up on. */
export const LATENCY_BUCKETS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

export const busCalls = new Histogram({
  name: "taskmesh_bus_call_duration_seconds",
  help: "Calls of actions, by side (client: from here; server: answered here) and outcome",
  labelNames: ["action", "side", "outcome"] as const,
  buckets: LATENCY_BUCKETS,
  registers,
});

export const busMessages = new Counter({
  name: "taskmesh_bus_messages_total",
  help: "Messages to and from RabbitMQ, by direction (sent, received); one may carry several calls or answers",
  labelNames: ["direction"] as const,
  registers,
});

export const databaseQueries = new Histogram({
  name: "taskmesh_database_query_duration_seconds",
  help: "SQL statements, with the wait for a connection",
  labelNames: ["operation", "outcome"] as const,
  buckets: LATENCY_BUCKETS,
  registers,
});

export const housekeeping = new Counter({
  name: "taskmesh_housekeeping_total",
  help: "Rounds of removing what has had its time, by chore and result (done, failed: also those left out after a failure)",
  labelNames: ["chore", "result"] as const,
  registers,
});

/** What is read of a pool of connections. */
export interface PoolState {
  size: number;
  available: number;
  waiting: number;
}
const pools = new Map<string, () => PoolState>();

/** Shows this pool from now on. */
export const observePool = (name: string, read: () => PoolState): void => {
  pools.set(name, read);
};

new Gauge({
  name: "taskmesh_database_pool_connections",
  help: "Open connections to PostgreSQL: used, or idle",
  labelNames: ["pool", "state"] as const,
  registers,
  collect() {
    for (const [pool, read] of pools) {
      const { size, available } = read();
      this.set({ pool, state: "idle" }, available);
      this.set({ pool, state: "used" }, size - available);
    }
  },
});

new Gauge({
  name: "taskmesh_database_pool_waiting",
  help: "Statements that wait for a connection, or for over 100 ms behind others on one that they share",
  labelNames: ["pool"] as const,
  registers,
  collect() {
    for (const [pool, read] of pools) this.set({ pool }, read().waiting);
  },
});

interface Process {
  version: string;
  isReady: () => Promise<boolean>;
  /** Whether this node can send and receive; always true in one process. */
  isOnBus: () => boolean;
}

/** What there is to say of the process as a whole: memory, event loop, garbage collection and the bus. */
export function observeProcess({ version, isReady, isOnBus }: Process): void {
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: "taskmesh_ready",
    help: "Whether this process can serve, as /health/ready says",
    registers,
    async collect() {
      this.set((await isReady()) ? 1 : 0);
    },
  });
  new Gauge({
    name: "taskmesh_bus_connected",
    help: "Whether RabbitMQ's connection and channel both are open; 1 in one process",
    registers,
    collect() {
      this.set(isOnBus() ? 1 : 0);
    },
  });
  new Gauge({
    name: "taskmesh_build_info",
    help: "1, with what runs here in its labels",
    labelNames: ["version", "node"] as const,
    registers,
  }).set({ version, node: process.version }, 1);
}

export { Counter, Gauge, Histogram };
