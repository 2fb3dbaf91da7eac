import { CLOCK_SKEW, PASSPORT_TTL } from "../../lib/passport.ts";
import type { Erasure, ErasureRepository } from "./erasures.repository.ts";

/** A passport that was handed out just before can still write, also where the clock is behind: after this nothing can. */
const LAST_WRITE_MS = (PASSPORT_TTL + CLOCK_SKEW) * 1_000 + 5_000;

interface EraserOptions {
  erasures: ErasureRepository;
  /** Services that hold content of users. */
  services: readonly string[];
  /** Asks one service to erase all it holds of a user; resolves when it has. */
  eraseIn: (service: string, userId: string) => Promise<unknown>;
  /** Told of a service that could not: it is asked again. */
  onError: (error: unknown, service: string) => void;
  clock: () => number;
}

/**
 * Erases what other services hold of a deleted account. The request lies in the database until each of them has
 * confirmed it, so neither a service that is down nor a lost message leaves anything behind. Erasing twice is
 * harmless, and is done: once at once, once when no passport of that person can write any more.
 */
export function createEraser({ erasures, services, eraseIn, onError, clock }: EraserOptions) {
  /** Whether every service has. */
  async function erase({ userId, requestedAt }: Erasure): Promise<boolean> {
    const outcomes = await Promise.allSettled(services.map((service) => eraseIn(service, userId)));
    const failed = outcomes.flatMap((outcome, index) =>
      outcome.status === "rejected" ? [{ service: services[index] ?? "", reason: outcome.reason }] : [],
    );
    for (const { service, reason } of failed) onError(reason, service);
    if (failed.length > 0) return false;
    if (clock() - requestedAt.getTime() >= LAST_WRITE_MS) await erasures.done(userId);
    else await erasures.erasedOnce(userId);
    return true;
  }

  return {
    erase,

    /** Erases what is due. @throws when some of it has to be asked for again */
    async sweep(): Promise<number> {
      let waiting = 0;
      for (const erasure of await erasures.pending(new Date(clock() - LAST_WRITE_MS)))
        if (!(await erase(erasure))) waiting += 1;
      if (waiting > 0)
        throw new Error(`Deleted accounts whose content is not erased everywhere: ${waiting}.`);
      return 0;
    },
  };
}

export type Eraser = ReturnType<typeof createEraser>;
