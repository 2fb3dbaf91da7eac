import { QueryTypes, type Sequelize, type Transaction } from "sequelize";
import { defineMailedToken, type MailedTokenRow } from "./models/mailed-token.model.ts";

type Purpose = MailedTokenRow["purpose"];

export type MailedTokenRepository = ReturnType<typeof createMailedTokenRepository>;

export function createMailedTokenRepository(database: Sequelize) {
  const MailedToken = defineMailedToken(database);

  /** One statement decides who was first: for all others the token is used. */
  async function spend(
    id: string,
    { purpose, now, transaction }: { purpose: Purpose; now: Date; transaction: Transaction },
  ): Promise<{ userId: string; email: string } | null> {
    const [spent] = await database.query<{ userId: string; email: string }>(
      `UPDATE auth.mailed_tokens SET used_at = $2
        WHERE id = $1 AND purpose = $3 AND used_at IS NULL AND expires_at > $2
        RETURNING user_id AS "userId", email`,
      { bind: [id, now, purpose], type: QueryTypes.SELECT, transaction },
    );
    return spent ?? null;
  }

  return {
    async find(id: string): Promise<MailedTokenRow | null> {
      const found = await MailedToken.findOne({ where: { id } });
      return found?.get({ plain: true }) ?? null;
    },

    /**
     * Uses a reset token: sets the password, ends all sessions, deletes all API tokens, spends the person's other reset
     * tokens, and notes that the address is theirs. All or nothing.
     *
     * @returns whose it was; null when it was used, has expired, or its person is disabled
     */
    async setPassword(id: string, passwordHash: string, now: Date): Promise<string | null> {
      return database.transaction(async (transaction) => {
        const change = (sql: string, ...bind: unknown[]) => database.query(sql, { bind, transaction });
        // First: two tokens of one person at once would otherwise wait for each other.
        const [active] = await database.query<{ id: string }>(
          `SELECT u.id FROM auth.users u JOIN auth.mailed_tokens t ON t.user_id = u.id
            WHERE t.id = $1 AND u.disabled_at IS NULL FOR UPDATE OF u`,
          { bind: [id], type: QueryTypes.SELECT, transaction },
        );
        const spent = active && (await spend(id, { purpose: "reset_password", now, transaction }));
        if (!spent) return null;
        const { userId, email } = spent;
        await change(
          `UPDATE auth.users SET password_hash = $2, email_verified = email_verified OR email = $3 WHERE id = $1`,
          userId,
          passwordHash,
          email,
        );
        await change(
          "UPDATE auth.sessions SET ended_at = $2 WHERE user_id = $1 AND ended_at IS NULL",
          userId,
          now,
        );
        await change("DELETE FROM auth.api_tokens WHERE user_id = $1", userId);
        await change(
          `UPDATE auth.mailed_tokens SET used_at = $2
            WHERE user_id = $1 AND purpose = 'reset_password' AND used_at IS NULL`,
          userId,
          now,
        );
        return userId;
      });
    },

    /**
     * Uses a verification token.
     *
     * @returns whose it was; null when it was used, has expired, or the person has another address by now
     */
    async verifyEmail(id: string, now: Date): Promise<string | null> {
      return database.transaction(async (transaction) => {
        const spent = await spend(id, { purpose: "verify_email", now, transaction });
        if (!spent) return null;
        const [verified] = await database.query<{ id: string }>(
          "UPDATE auth.users SET email_verified = true WHERE id = $1 AND email = $2 RETURNING id",
          { bind: [spent.userId, spent.email], type: QueryTypes.SELECT, transaction },
        );
        return verified?.id ?? null;
      });
    },
  };
}
