import { QueryTypes, type Sequelize } from "sequelize";
import { type ApiTokenRow, defineApiToken } from "./models/api-token.model.ts";
import type { UserRow } from "./users.repository.ts";

export type { ApiTokenRow };
export type ApiTokenRepository = ReturnType<typeof createApiTokenRepository>;

/** An API token and whose it is. */
export type ApiTokenOwner = Pick<UserRow, "id" | "email" | "role" | "timeZone"> &
  Pick<ApiTokenRow, "scopes" | "secretHash" | "expiresAt"> & { lastUsedAt: Date };

type Insertion = "inserted" | "not allowed" | "too many";

export function createApiTokenRepository(database: Sequelize) {
  const ApiToken = defineApiToken(database);

  return {
    /**
     * For a session that is still there, where a password reset may have ended it since; one that comes later finds the
     * token and deletes it.
     */
    async insertFor(sessionId: string, token: ApiTokenRow, most: number): Promise<Insertion> {
      return database.transaction(async (transaction) => {
        const query = async (sql: string, bind: unknown[]) =>
          (await database.query(sql, { bind, type: QueryTypes.SELECT, transaction })).length > 0;
        // First: what a reset or another insertion does meanwhile is seen by the next statement only.
        const active = await query(
          "SELECT FROM auth.users WHERE id = $1 AND disabled_at IS NULL FOR NO KEY UPDATE",
          [token.userId],
        );
        const signedIn = await query(
          "SELECT FROM auth.sessions WHERE id = $1 AND user_id = $2 AND ended_at IS NULL",
          [sessionId, token.userId],
        );
        if (!active || !signedIn) return "not allowed";
        const count = await ApiToken.count({ where: { userId: token.userId }, transaction });
        if (count >= most) return "too many";
        await ApiToken.create(token, { transaction });
        return "inserted";
      });
    },

    async list(userId: string): Promise<ApiTokenRow[]> {
      const found = await ApiToken.findAll({ where: { userId }, order: [["id", "DESC"]] });
      return found.map((token) => token.get({ plain: true }));
    },

    async findOwner(id: string): Promise<ApiTokenOwner | null> {
      const [owner] = await database.query<ApiTokenOwner>(
        `SELECT u.id, u.email, u.role, u.time_zone AS "timeZone", t.scopes, t.secret_hash AS "secretHash",
                t.expires_at AS "expiresAt", coalesce(t.last_used_at, 'epoch') AS "lastUsedAt"
           FROM auth.api_tokens t JOIN auth.users u ON u.id = t.user_id
          WHERE t.id = $1 AND u.disabled_at IS NULL`,
        { bind: [id], type: QueryTypes.SELECT },
      );
      return owner ?? null;
    },

    async touch(id: string, lastUsedAt: Date): Promise<void> {
      await ApiToken.update({ lastUsedAt }, { where: { id } });
    },

    async remove(userId: string, id: string): Promise<boolean> {
      return (await ApiToken.destroy({ where: { id, userId } })) === 1;
    },
  };
}
