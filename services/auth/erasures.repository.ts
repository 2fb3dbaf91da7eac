import { QueryTypes, type Sequelize } from "sequelize";

export interface Erasure {
  userId: string;
  requestedAt: Date;
}

export type ErasureRepository = ReturnType<typeof createErasureRepository>;

export function createErasureRepository(database: Sequelize) {
  return {
    /**
     * The account, its sessions and tokens go, and what others hold of it is marked for erasure: both or neither. Unless
     * it is the last administrator's: as in `changeAccess`, all of their rows are locked first.
     */
    async removeUser(userId: string, requestedAt: Date): Promise<"removed" | "last_admin"> {
      const [found] = await database.query<{ isLast: boolean }>(
        `WITH admins AS (
           SELECT id FROM auth.users
            WHERE role = 'admin' AND disabled_at IS NULL
              AND EXISTS (SELECT FROM auth.users WHERE id = $1 AND role = 'admin') ORDER BY id FOR UPDATE
         ), last_admin AS (
           SELECT min(id::text)::uuid AS id FROM admins HAVING count(*) = 1
         ), gone AS (
           DELETE FROM auth.users WHERE id = $1 AND NOT EXISTS (SELECT FROM last_admin l WHERE l.id = $1) RETURNING id
         ), marked AS (
           INSERT INTO auth.erasures (user_id, requested_at, erased_once) SELECT id, $2, false FROM gone
         )
         SELECT EXISTS (SELECT FROM last_admin WHERE id = $1) AS "isLast"`,
        { bind: [userId, requestedAt], type: QueryTypes.SELECT },
      );
      return found?.isLast ? "last_admin" : "removed";
    },

    /**
     * Not erased yet, or asked for so long ago that the last time is due: up to a hundred, whichever they are. By their age,
     * those that can't be erased would keep all others from their turn.
     */
    pending(requestedBefore: Date): Promise<Erasure[]> {
      return database.query<Erasure>(
        `SELECT user_id AS "userId", requested_at AS "requestedAt" FROM auth.erasures
          WHERE NOT erased_once OR requested_at <= $1 ORDER BY random() LIMIT 100`,
        { bind: [requestedBefore], type: QueryTypes.SELECT },
      );
    },

    async erasedOnce(userId: string): Promise<void> {
      await database.query("UPDATE auth.erasures SET erased_once = true WHERE user_id = $1", {
        bind: [userId],
      });
    },

    async done(userId: string): Promise<void> {
      await database.query("DELETE FROM auth.erasures WHERE user_id = $1", { bind: [userId] });
    },
  };
}
