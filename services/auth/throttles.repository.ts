import { QueryTypes, type Sequelize } from "sequelize";
import { removeOld, runOn } from "../../mixins/statements.ts";

/** What one attempt costs under one key. A key has spent its budget when `full_at` lies `capacityMs` ahead. */
export interface Charge {
  key: string;
  costMs: number;
  capacityMs: number;
}

export type ThrottleRepository = ReturnType<typeof createThrottleRepository>;

/** Rows removed at a time: fewer than take the database long. */
const SWEEP_LIMIT = 5_000;

export function createThrottleRepository(database: Sequelize) {
  const run = runOn(database);
  const keysOf = (charges: Charge[]): string[] => charges.map(({ key }) => key);

  return {
    /**
     * Charges all keys that have the budget, in one statement: of attempts at once, each sees what the others spent.
     * Rows are locked in the order of their keys, so that no two attempts wait for each other.
     *
     * @returns the keys that were charged
     */
    async charge(charges: Charge[], now: Date): Promise<string[]> {
      const charged = await database.query<{ key: string }>(
        `WITH asked AS (
           SELECT key, cost * interval '1 ms' AS cost, capacity * interval '1 ms' AS capacity
             FROM unnest($1::text[], $2::bigint[], $3::bigint[]) AS asked (key, cost, capacity))
         INSERT INTO auth.throttles AS spent (key, full_at)
         SELECT key, $4::timestamptz + cost FROM asked ORDER BY key
             ON CONFLICT (key) DO UPDATE
            SET full_at = greatest(spent.full_at, $4) + (excluded.full_at - $4)
          WHERE greatest(spent.full_at, $4) + (excluded.full_at - $4)
                <= $4 + (SELECT capacity FROM asked WHERE asked.key = excluded.key)
         RETURNING key`,
        {
          bind: [
            keysOf(charges),
            charges.map(({ costMs }) => costMs),
            charges.map(({ capacityMs }) => capacityMs),
            now,
          ],
          type: QueryTypes.SELECT,
        },
      );
      return keysOf(charges).filter((key) => charged.some((row) => row.key === key));
    },

    async giveBack(charges: Charge[]): Promise<void> {
      await database.query(
        `UPDATE auth.throttles AS spent SET full_at = spent.full_at - back.cost * interval '1 ms'
           FROM (SELECT key, cost FROM auth.throttles
                   JOIN unnest($1::text[], $2::bigint[]) AS back (key, cost) USING (key)
                  ORDER BY key FOR UPDATE OF throttles) AS back
          WHERE spent.key = back.key`,
        { bind: [keysOf(charges), charges.map(({ costMs }) => costMs)] },
      );
    },

    /** When each of these keys has spent nothing any more. */
    async findFullAt(charges: Charge[]): Promise<Map<string, Date>> {
      const rows = await database.query<{ key: string; fullAt: Date }>(
        `SELECT key, full_at AS "fullAt" FROM auth.throttles WHERE key = ANY ($1::text[])`,
        { bind: [keysOf(charges)], type: QueryTypes.SELECT },
      );
      return new Map(rows.map(({ key, fullAt }) => [key, fullAt]));
    },

    /** Whether somebody with this e-mail address has signed in from this network; no quicker when there is nobody. */
    async isFamiliar(email: string, networkKey: string, since: Date): Promise<boolean> {
      const found = await database.query(
        `SELECT FROM auth.users u JOIN auth.familiar_networks f ON f.user_id = u.id
          WHERE u.email = $1 AND f.network_key = $2 AND f.seen_at > $3`,
        { bind: [email, networkKey, since], type: QueryTypes.SELECT },
      );
      return found.length > 0;
    },

    /** Nothing when the account was deleted meanwhile. */
    async makeFamiliar(userId: string, networkKey: string, now: Date): Promise<void> {
      await database.query(
        `INSERT INTO auth.familiar_networks (user_id, network_key, seen_at)
           SELECT id, $2, $3 FROM auth.users WHERE id = $1 FOR KEY SHARE
             ON CONFLICT (user_id, network_key) DO UPDATE SET seen_at = excluded.seen_at`,
        { bind: [userId, networkKey, now] },
      );
    },

    /** Removes some of what says nothing any more; other replicas may do so at the same time. @returns how many */
    async sweep(now: Date, familiarSince: Date): Promise<number> {
      const whole = { table: "auth.throttles", key: "key", at: "full_at" };
      const familiar = { table: "auth.familiar_networks", key: "user_id, network_key", at: "seen_at" };
      return (
        (await removeOld(run, whole, now, SWEEP_LIMIT)) +
        (await removeOld(run, familiar, familiarSince, SWEEP_LIMIT))
      );
    },
  };
}
