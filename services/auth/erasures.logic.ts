import { CLOCK_SKEW, PASSPORT_TTL } from "../../lib/passport.ts";
import type { Erasure, ErasureRepository } from "./erasures.repository.ts";

/** A passport that was handed out just before can still write, also where the clock is behind: after this nothing can. */
const LAST_WRITE_MS = (PASSPORT_TTL + CLOCK_SKEW) * 1_000 + 5_000;

/** How a call fails that nobody answers in time, or at all. */
const NO_ANSWER = ["SERVICE_NOT_FOUND", "SERVICE_NOT_AVAILABLE", "REQUEST_TIMEOUT", "REQUEST_REJECTED"];

const isUnanswered = (error: unknown): boolean => NO_ANSWER.includes(Object(error).type);

interface EraserOptions {
  erasures: ErasureRepository;
  /** Services that hold content of users. */
  services: readonly string[];
  /** Asks one service to erase all it holds of a user; resolves when it has. */
  eraseIn: (service: string, userId: string) => Promise<unknown>;
  /** Told, once a round, of a service that could not (auth, when its database could not): it is asked again. */
  onError: (error: unknown, service: string) => void;
  clock: () => number;
}

/**
 * Erases what other services hold of a deleted account. The request lies in the database until each of them has
 * confirmed it, so neither a service that is down nor a lost message leaves anything behind. Erasing twice is
 * harmless, and is done: once at once, once when no passport of that person can write any more.
 */
export function createEraser({ erasures, services, eraseIn, onError, clock }: EraserOptions) {
  /**
   * Erases in one round, in which who gives no answer is not asked again: whoever comes next would wait as long.
   *
   * @returns how many are not erased everywhere
   */
  async function eraseAll(round: Erasure[]): Promise<number> {
    const told = new Set<string>();
    const silent = new Set<string>();

    /** Whether the service has. */
    async function has(service: string, userId: string): Promise<boolean> {
      if (silent.has(service)) return false;
      try {
        await eraseIn(service, userId);
        return true;
      } catch (error) {
        if (!told.has(service)) onError(error, service);
        told.add(service);
        if (isUnanswered(error)) silent.add(service);
        return false;
      }
    }

    let waiting = 0;
    for (const { userId, requestedAt } of round) {
      const outcomes = await Promise.all(services.map((service) => has(service, userId)));
      if (outcomes.includes(false)) waiting += 1;
      else if (clock() - requestedAt.getTime() >= LAST_WRITE_MS) await erasures.done(userId);
      else await erasures.erasedOnce(userId);
    }
    return waiting;
  }

  return {
    /** Tries once, at once. What becomes of it is no matter of the caller's: what is not erased is asked for again. */
    async erase(erasure: Erasure): Promise<void> {
      await eraseAll([erasure]).catch((error: unknown) => onError(error, "auth"));
    },

    /** Erases what is due. @throws when some of it has to be asked for again */
    async sweep(): Promise<number> {
      const waiting = await eraseAll(await erasures.pending(new Date(clock() - LAST_WRITE_MS)));
      if (waiting > 0)
        throw new Error(`Deleted accounts whose content is not erased everywhere: ${waiting}.`);
      return 0;
    },
  };
}

export type Eraser = ReturnType<typeof createEraser>;
