import { Counter, Gauge, Histogram, registry } from "../../lib/metrics.ts";
import { type Mailer, RecipientRefused } from "./outbox.logic.ts";

const registers = [registry];

export const authEvents = new Counter({
  name: "taskmesh_auth_events_total",
  help: "What happened to accounts, as the audit log has it: sign-ins, refreshes, reuse of tokens, throttles and the rest",
  labelNames: ["event", "result"] as const,
  registers,
});

// An alert watches it: the first ones of a counter that was not there before are an increase of nothing.
authEvents.inc({ event: "refresh_reuse", result: "failure" }, 0);

const mails = new Counter({
  name: "taskmesh_mails_total",
  help: "Mails that the mail server took, did not take and is asked again, or refused for there is no such mailbox",
  labelNames: ["result"] as const,
  registers,
});
for (const result of ["sent", "failed", "refused"]) mails.inc({ result }, 0);

/** Counts what becomes of a mailer's mails. */
export const observeMailer =
  (send: Mailer): Mailer =>
  async (...mail) => {
    try {
      await send(...mail);
    } catch (error) {
      mails.inc({ result: error instanceof RecipientRefused ? "refused" : "failed" });
      throw error;
    }
    mails.inc({ result: "sent" });
  };

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
