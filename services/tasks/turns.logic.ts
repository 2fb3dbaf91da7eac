import { createFairQueue, type FairQueue, type FairQueueOptions } from "../../lib/fair-queue.ts";

/** Of one person, in one process: so many at a time, so many more wait. Of ten connections, others have four at least. */
const KINDS = {
  /** Searches, counts and statistics. One that also counts takes two connections to the database. */
  long_read: { running: 2, waiting: 20, detail: "You search and count too much at a time. Please wait." },
  /** More at a time would be no faster: each waits for the one before it to leave the person's log (ADR 20). */
  write: { running: 2, waiting: 200, detail: "You change too much at a time. Please wait." },
};

export type TurnKind = keyof typeof KINDS;
export type Turns = FairQueue;

/** What takes as long as somebody has tasks. */
export const createTurns = (kind: TurnKind, options: Pick<FairQueueOptions, "clock" | "onRefused">): Turns =>
  createFairQueue({ ...KINDS[kind], ...options });
