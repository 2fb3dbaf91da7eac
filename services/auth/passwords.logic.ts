import bcrypt from "bcrypt";
import { validationFailed } from "../../lib/errors.ts";
import type { HashQueue } from "./hash-queue.logic.ts";
import { findWeakness } from "./password-rules.logic.ts";

export type Passwords = ReturnType<typeof createPasswords>;

interface PasswordOptions {
  /** log2 of bcrypt's rounds for new hashes. */
  cost: number;
  /** Where bcrypt would stop reading. */
  maxBytes: number;
  queue: Pick<HashQueue, "assertRoom" | "run">;
}

/** Of no known password: comparing with it takes as long as with any hash of this cost. */
const nobodysHash = (cost: number): string =>
  `$2b$${String(cost).padStart(2, "0")}$mucLS4Vm56.Tn3RbqlsoYO4TsBpS3RHVNmxUjr.5eri7mIBfpUate`;

/** Hashing and comparing passwords, a bounded number at a time: everything here throws `overloaded` beyond it. */
export function createPasswords({ cost, maxBytes, queue }: PasswordOptions) {
  /** What every comparison costs, whatever hash there is: as much as the dearest one, so that time tells nothing. */
  let comparisonCost = cost;

  const hash = (password: string): Promise<string> => queue.run(() => bcrypt.hash(password, cost));

  /** A comparison at cost c, then one each at c, c + 1, …: as many rounds together as one at `comparisonCost`. */
  async function compare(password: string, against: string): Promise<boolean> {
    const equal = await bcrypt.compare(password, against);
    for (let spare = bcrypt.getRounds(against); spare < comparisonCost; spare++)
      await bcrypt.compare(password, nobodysHash(spare));
    return equal;
  }

  return {
    /** Takes hashes of this cost into account, which were made under other settings. */
    expectCost(stored: number): void {
      comparisonCost = Math.max(comparisonCost, stored);
    },

    /** @throws overloaded when a hash would be refused now, before anything is done for it */
    assertRoom: queue.assertRoom,

    hash,

    /**
     * The hash of a password that somebody wants to have.
     *
     * @param field where it came in, for the violation
     * @throws validation_failed with `too_common`, `contains_email` or `contains_product_name`
     */
    async choose(password: string, { email, field }: { email: string; field: string }): Promise<string> {
      const weakness = findWeakness(password, { email });
      if (weakness) throw validationFailed([{ path: [field], ...weakness }]);
      return hash(password);
    },

    /** Whether this is the password; takes as long when there is no hash to compare with, or a cheaper one. */
    async matches(password: string, stored: string | null): Promise<boolean> {
      const readable = Buffer.byteLength(password) <= maxBytes;
      const equal = await queue.run(() => compare(password, stored ?? nobodysHash(comparisonCost)));
      return equal && readable && stored !== null;
    },

    /** Whether a hash was made at another cost than new ones are. */
    isOutdated: (stored: string): boolean => bcrypt.getRounds(stored) !== cost,
  };
}
