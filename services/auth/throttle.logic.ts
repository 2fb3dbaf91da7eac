import { createHmac } from "node:crypto";
import type { Client } from "../../lib/action.ts";
import { networkOf } from "../../lib/address.ts";
import { problem } from "../../lib/errors.ts";
import type { Audit } from "./audit.logic.ts";
import { deriveKey } from "./keys.logic.ts";
import type { Charge, ThrottleRepository } from "./throttles.repository.ts";

/** So many attempts at once; then one more each time `everyMs` has passed. */
interface Budget {
  burst: number;
  everyMs: number;
}

const MINUTE_MS = 60_000;

/** Wrong attempts that are answered; why these figures: docs/decisions/0013-throttling-of-sign-ins.md. */
export const budgets = {
  /** One account from one network. */
  pair: { burst: 10, everyMs: MINUTE_MS },
  /** One account from all networks that its owner never signed in from, together. */
  account: { burst: 20, everyMs: 2 * MINUTE_MS },
  /** All accounts from one network. */
  network: { burst: 30, everyMs: MINUTE_MS / 3 },
  /** The same for accounts whose owners have signed in from there: strangers can't use up the difference. */
  familiarNetwork: { burst: 60, everyMs: MINUTE_MS / 3 },
  /** The password of an account that is signed in, to change it or to delete the account. */
  password: { burst: 10, everyMs: MINUTE_MS },
  /** Links to a new password for one account, asked for from one network. */
  linkPair: { burst: 5, everyMs: 5 * MINUTE_MS },
  /** The same from all networks together. */
  linkAccount: { burst: 20, everyMs: MINUTE_MS },
  /** Links for all accounts, asked for from one network. */
  linkNetwork: { burst: 20, everyMs: MINUTE_MS },
} as const satisfies Record<string, Budget>;

const FAMILIAR_FOR_MS = 90 * 86_400_000;

const tooMany = (detail: string, retryAfter: number) => problem("too_many_attempts", detail, { retryAfter });

interface ThrottleOptions {
  throttles: ThrottleRepository;
  audit: Audit;
  /** AUTH_SECRET */
  secret: string;
  clock: () => number;
}

/** Runs `compare` if there is budget for it; what it answers other than `false` costs nothing. */
type Attempt<Who> = (who: Who, compare: () => Promise<boolean>) => Promise<boolean>;

export interface Throttle {
  /** @throws too_many_attempts, alike whether there is such an account */
  signIn: Attempt<{ email: string; userId: string | undefined; client: Client }>;
  /** @throws too_many_attempts */
  password: Attempt<{ userId: string; sessionId: string | null; client?: Client | undefined }>;
  /** Counts a request for a link to a new password. @throws too_many_attempts, alike whether there is such an account */
  link(who: { email: string; client: Client }): Promise<void>;
  /** Removes some budgets that are whole again, and networks that are no longer familiar. @returns how many */
  sweep(): Promise<number>;
}

/** What RATE_LIMIT=off puts in its place. */
export const unthrottled: Throttle = {
  signIn: (_who, compare) => compare(),
  password: (_who, compare) => compare(),
  link: async () => {},
  sweep: async () => 0,
};

/**
 * Slows down who guesses passwords, or asks for links to new ones. Budgets lie in the database, so that replicas share
 * them; they are charged before anything is compared, so that attempts at once can't exceed them, and never lock: they
 * refill steadily.
 */
export function createThrottle({ throttles, audit, secret, clock }: ThrottleOptions): Throttle {
  const hmacKey = deriveKey(secret, "throttle keys");
  const keyOf = (...parts: string[]): string =>
    createHmac("sha256", hmacKey).update(JSON.stringify(parts)).digest("base64url");
  const charge = (key: string, { burst, everyMs }: Budget): Charge => ({
    key,
    costMs: everyMs,
    capacityMs: burst * everyMs,
  });

  /** Charges all or nothing. @returns 0, or the seconds after which there is budget again */
  async function spend(charges: Charge[]): Promise<number> {
    const now = clock();
    const charged = await throttles.charge(charges, new Date(now));
    const refused = charges.filter(({ key }) => !charged.includes(key));
    if (refused.length === 0) return 0;
    if (charged.length > 0) await throttles.giveBack(charges.filter(({ key }) => charged.includes(key)));
    const fullAt = await throttles.findFullAt(refused);
    // (By a clock that is some milliseconds ahead, it would seem to take longer than it can.)
    const waits = refused.map(({ key, costMs, capacityMs }) =>
      Math.min(costMs, (fullAt.get(key)?.getTime() ?? now) + costMs - capacityMs - now),
    );
    return Math.max(1, ...waits.map((ms) => Math.ceil(ms / 1000)));
  }

  async function attempt(
    charges: Charge[],
    compare: () => Promise<boolean>,
    refused: () => Promise<void>,
  ): Promise<boolean> {
    const retryAfter = await spend(charges);
    if (retryAfter > 0) {
      await refused();
      throw tooMany("Too many wrong attempts. Please wait.", retryAfter);
    }
    let wrong = false;
    try {
      wrong = !(await compare());
      return !wrong;
    } finally {
      // Nothing was learnt from what was right or never compared.
      if (!wrong) await throttles.giveBack(charges);
    }
  }

  return {
    async signIn({ email, userId, client }, compare) {
      const network = networkOf(client.address ?? "");
      const networkKey = keyOf("network", network);
      const familiarSince = new Date(clock() - FAMILIAR_FOR_MS);
      const familiar = await throttles.isFamiliar(email, networkKey, familiarSince);
      const charges = [
        charge(keyOf("pair", email, network), budgets.pair),
        charge(networkKey, familiar ? budgets.familiarNetwork : budgets.network),
        ...(familiar ? [] : [charge(keyOf("account", email), budgets.account)]),
      ];
      const matches = await attempt(charges, compare, () =>
        audit({
          event: "throttle",
          result: "failure",
          client,
          ...(userId === undefined ? {} : { userId }),
          detail: { of: "sign-in" },
        }),
      );
      if (matches && userId !== undefined)
        await throttles.makeFamiliar(userId, networkKey, new Date(clock()));
      return matches;
    },

    password: ({ userId, sessionId, client }, compare) =>
      attempt([charge(keyOf("password", userId), budgets.password)], compare, () =>
        audit({
          event: "throttle",
          result: "failure",
          userId,
          sessionId,
          client,
          detail: { of: "password" },
        }),
      ),

    // Whose address it is, and where they have signed in from, is not looked up: nobody could tell by it.
    async link({ email, client }) {
      const network = networkOf(client.address ?? "");
      const retryAfter = await spend([
        charge(keyOf("link pair", email, network), budgets.linkPair),
        charge(keyOf("link account", email), budgets.linkAccount),
        charge(keyOf("link network", network), budgets.linkNetwork),
      ]);
      if (retryAfter === 0) return;
      await audit({ event: "throttle", result: "failure", client, detail: { of: "password reset" } });
      throw tooMany("Too many requests for a link to a new password. Please wait.", retryAfter);
    },

    sweep: () => throttles.sweep(new Date(clock()), new Date(clock() - FAMILIAR_FOR_MS)),
  };
}
