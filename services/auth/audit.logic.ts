import type { Client } from "../../lib/action.ts";
import type { AUDIT_EVENTS } from "./admin.schema.ts";

/** One thing that happened to an account. Never a password, a token or a hash. */
export interface AuditEntry {
  event: (typeof AUDIT_EVENTS)[number];
  result: "success" | "failure";
  /** Whose account. */
  userId?: string;
  sessionId?: string | null;
  client?: Client | undefined;
  detail?: Record<string, string>;
}

export type Audit = (entry: AuditEntry) => Promise<void>;

interface AuditOptions {
  store: { insert(entry: AuditEntry, at: Date): Promise<void> };
  /** Writes one structured line; its fields are escaped by the logger, so that none can forge another line. */
  log: (entry: AuditEntry) => void;
  clock: () => number;
}

/** Every event goes to the log, for those who watch, and to the table, for those who ask later. */
export const createAudit =
  ({ store, log, clock }: AuditOptions): Audit =>
  async (entry) => {
    log(entry);
    await store.insert(entry, new Date(clock()));
  };
