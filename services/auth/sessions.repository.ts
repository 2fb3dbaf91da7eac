import { QueryTypes, type Sequelize } from "sequelize";
import { defineSession, type SessionRow } from "./models/session.model.ts";
import type { UserRow } from "./users.repository.ts";

export type { SessionRow };
export type SessionPatch = Partial<Pick<SessionRow, "refreshCounter" | "refreshedAt" | "endedAt">>;
export type SessionRepository = ReturnType<typeof createSessionRepository>;

/** What `auth.verify` needs to know, in one row. */
export type SessionOwner = Pick<UserRow, "id" | "email" | "role" | "timeZone">;

export function createSessionRepository(database: Sequelize) {
  const Session = defineSession(database);

  return {
    async insert(session: SessionRow): Promise<void> {
      await Session.create(session);
    },

    /** Whose session this is, or null when it ended or its user is disabled or gone. */
    async findOwner(id: string): Promise<SessionOwner | null> {
      const [owner] = await database.query<SessionOwner>(
        `SELECT u.id, u.email, u.role, u.time_zone AS "timeZone"
           FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
          WHERE s.id = $1 AND s.ended_at IS NULL AND u.disabled_at IS NULL`,
        { bind: [id], type: QueryTypes.SELECT },
      );
      return owner ?? null;
    },

    /**
     * Locks the session, lets `decide` look at it and applies the patch it returns, as one step: of several
     * refreshes and logouts at once, each sees what the one before it left.
     */
    async change(id: string, decide: (session: SessionRow) => SessionPatch): Promise<void> {
      await database.transaction(async (transaction) => {
        const found = await Session.findOne({ where: { id }, lock: transaction.LOCK.UPDATE, transaction });
        if (!found) return;
        const patch = decide(found.get({ plain: true }));
        if (Object.keys(patch).length > 0) await found.update(patch, { transaction });
      });
    },

    async end(id: string, endedAt: Date): Promise<void> {
      await Session.update({ endedAt }, { where: { id, endedAt: null } });
    },

    async endAll(userId: string, endedAt: Date): Promise<void> {
      await Session.update({ endedAt }, { where: { userId, endedAt: null } });
    },
  };
}
