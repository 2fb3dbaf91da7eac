import type { Chore } from "../../lib/housekeeping.ts";
import type { AuditRepository } from "./audit.repository.ts";
import type { Eraser } from "./erasures.logic.ts";
import { ABSOLUTE_TTL_MS } from "./refresh-tokens.logic.ts";
import type { SessionRepository } from "./sessions.repository.ts";
import type { Throttle } from "./throttle.logic.ts";

/** Milliseconds until a service that was down is asked again to erase what it holds of deleted accounts. */
const ERASURE_INTERVAL = 2_000;
/** Milliseconds. */
const INTERVAL = 10 * 60_000;
/** Rows in one statement: it must not hold others up. */
const BATCH = 500;
/** What was signed in the last minute of a session names it for some time, ACCESS_TOKEN_TTL at the most. */
const LAST_TOKEN_MS = 3_600_000;

interface HousekeepingOptions {
  eraser: Pick<Eraser, "sweep">;
  throttle: Pick<Throttle, "sweep">;
  sessions: Pick<SessionRepository, "removeOld">;
  auditEvents: Pick<AuditRepository, "removeOld">;
  /** Milliseconds that the audit log keeps an event. */
  keepAudit: number;
  clock: () => number;
}

/** Removals of what has had its time, here and, of deleted accounts, in other services. */
export function createHousekeeping(options: HousekeepingOptions): Chore[] {
  const { eraser, throttle, sessions, auditEvents, keepAudit, clock } = options;
  const ago = (age: number): Date => new Date(clock() - age);
  return [
    { name: "erasures", every: ERASURE_INTERVAL, part: eraser.sweep },
    { name: "throttles", every: INTERVAL, part: throttle.sweep },
    {
      name: "sessions",
      every: INTERVAL,
      part: () => sessions.removeOld(ago(ABSOLUTE_TTL_MS + LAST_TOKEN_MS), BATCH),
    },
    { name: "audit", every: INTERVAL, part: () => auditEvents.removeOld(ago(keepAudit), BATCH) },
  ];
}
