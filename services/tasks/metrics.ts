import { Counter, Histogram, registry } from "../../lib/metrics.ts";

const registers = [registry];

export const hintLag = new Histogram({
  name: "taskmesh_change_hint_lag_seconds",
  help: "From the call that changes tasks until others were told of it: the most that a follower waits for its hint",
  buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5],
  registers,
});

export const readLag = new Histogram({
  name: "taskmesh_change_read_lag_seconds",
  help: "Age of the newest change when it was read from the log by who follows it: live streams at once, others when they sync",
  buckets: [0.01, 0.05, 0.1, 0.5, 1, 5, 60, 3_600, 86_400],
  registers,
});

export const longReadRefusals = new Counter({
  name: "taskmesh_long_reads_refused_total",
  help: "Searches, counts and statistics that were not begun: too many of the same person waited, or one for too long",
  labelNames: ["reason"] as const,
  registers,
});
