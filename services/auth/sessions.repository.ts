import { Op, QueryTypes, type Sequelize } from "sequelize";
import { assertAwaited, removeOld, runOn } from "../../mixins/statements.ts";
import { defineSession, type SessionRow } from "./models/session.model.ts";
import type { UserRow } from "./users.repository.ts";

export type { SessionRow };
export type SessionPatch = Partial<Pick<SessionRow, "refreshCounter" | "refreshedAt" | "endedAt">>;
export type SessionRepository = ReturnType<typeof createSessionRepository>;

/** Of sessions that are too many: with all of hundreds of thousands, nobody could sign in any more. */
const ENDED_AT_ONCE = 500;

/** What `auth.verify` needs to know, in one row. */
export type SessionOwner = Pick<UserRow, "id" | "email" | "role" | "timeZone"> & { lastUsedAt: Date };

export function createSessionRepository(database: Sequelize) {
  const Session = defineSession(database);
  const run = runOn(database);

  return {
    /**
     * Opens a session for who still has this password and is not disabled; false when that changed since it was
     * compared. A change of the password that comes later finds the session and ends it. Of more than `most`, those end
     * that have not been used for longest.
     */
    async insertFor(session: SessionRow, passwordHash: string, most: number): Promise<boolean> {
      return database.transaction(async (transaction) => {
        const [owner] = await database.query(
          `SELECT id FROM auth.users
            WHERE id = $1 AND password_hash = $2 AND disabled_at IS NULL FOR SHARE`,
          { bind: [session.userId, passwordHash], type: QueryTypes.SELECT, transaction },
        );
        if (!owner) return false;
        await Session.create(session, { transaction });
        await database.query(
          `UPDATE auth.sessions SET ended_at = $2 WHERE ended_at IS NULL AND id IN (
             SELECT id FROM auth.sessions WHERE user_id = $1 AND ended_at IS NULL
              ORDER BY last_used_at DESC, id DESC OFFSET $3 LIMIT $4)`,
          { bind: [session.userId, session.createdAt, most, ENDED_AT_ONCE], transaction },
        );
        return true;
      });
    },

    /** Whose session this is, or null when it ended or its user is disabled or gone. */
    async findOwner(id: string): Promise<SessionOwner | null> {
      const [owner] = await database.query<SessionOwner>(
        `SELECT u.id, u.email, u.role, u.time_zone AS "timeZone", s.last_used_at AS "lastUsedAt"
           FROM auth.sessions s JOIN auth.users u ON u.id = s.user_id
          WHERE s.id = $1 AND s.ended_at IS NULL AND u.disabled_at IS NULL`,
        { bind: [id], type: QueryTypes.SELECT },
      );
      return owner ?? null;
    },

    /** Those that have not ended and were refreshed since; the latest used first. */
    async list(userId: string, refreshedSince: Date): Promise<SessionRow[]> {
      const found = await Session.findAll({
        where: { userId, endedAt: null, refreshedAt: { [Op.gt]: refreshedSince } },
        order: [
          ["lastUsedAt", "DESC"],
          ["id", "DESC"],
        ],
      });
      return found.map((session) => session.get({ plain: true }));
    },

    /**
     * Locks the session, lets `decide` look at it and applies the patch it returns, as one step: of several
     * refreshes and logouts at once, each sees what the one before it left. Not when nobody waits for it any more: a late
     * refresh would find its own token used, by another try and what came of it.
     */
    async change(id: string, decide: (session: SessionRow) => SessionPatch): Promise<void> {
      await database.transaction(async (transaction) => {
        const found = await Session.findOne({ where: { id }, lock: transaction.LOCK.UPDATE, transaction });
        if (!found) return;
        assertAwaited();
        const patch = decide(found.get({ plain: true }));
        if (Object.keys(patch).length > 0) await found.update(patch, { transaction });
      });
    },

    /** Notes a use; of several replicas that saw it, the latest counts. */
    async touch(id: string, lastUsedAt: Date): Promise<void> {
      await Session.update({ lastUsedAt }, { where: { id, lastUsedAt: { [Op.lt]: lastUsedAt } } });
    },

    /** Whether there was such a session of this person to end. */
    async end(userId: string, id: string, endedAt: Date): Promise<boolean> {
      const [ended] = await Session.update({ endedAt }, { where: { id, userId, endedAt: null } });
      return ended === 1;
    },

    /** Those that began up to that moment. */
    removeOld: (upTo: Date, limit: number): Promise<number> =>
      removeOld(run, { table: "auth.sessions", key: "id", at: "created_at" }, upTo, limit),

    /** Ends all of a person's sessions, or all but one. */
    async endAll(userId: string, endedAt: Date, except: string | null = null): Promise<void> {
      const others = except === null ? {} : { id: { [Op.ne]: except } };
      await Session.update({ endedAt }, { where: { userId, endedAt: null, ...others } });
    },
  };
}
