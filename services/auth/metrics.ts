import { Counter, Gauge, Histogram, registry } from "../../lib/metrics.ts";

const registers = [registry];

export const authEvents = new Counter({
  name: "taskmesh_auth_events_total",
  help: "What happened to accounts, as the audit log has it: sign-ins, refreshes, reuse of tokens, throttles and the rest",
  labelNames: ["event", "result"] as const,
  registers,
});

export const hashWaits = new Histogram({
  name: "taskmesh_hash_queue_wait_seconds",
  help: "How long passwords waited for their turn to be hashed",
  buckets: [0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 1, 2, 4],
  registers,
});

export const hashRefusals = new Counter({
  name: "taskmesh_hash_queue_refused_total",
  help: "Passwords that were not hashed: the queue was full, or their turn came too late",
  labelNames: ["reason"] as const,
  registers,
});

/** Shows this queue among the metrics. */
export function observeHashQueue(counts: () => { running: number; waiting: number }): void {
  new Gauge({
    name: "taskmesh_hash_queue_jobs",
    help: "Passwords that are being hashed, or wait for it",
    labelNames: ["state"] as const,
    registers,
    collect() {
      const { running, waiting } = counts();
      this.set({ state: "running" }, running);
      this.set({ state: "waiting" }, waiting);
    },
  });
}
