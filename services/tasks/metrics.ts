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

export const turnRefusals = new Counter({
  name: "taskmesh_turns_refused_total",
  help: "Calls of people who asked for too much at a time: too many of theirs waited, or one for too long",
  labelNames: ["kind", "reason"] as const,
  registers,
});
