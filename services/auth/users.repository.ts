import { QueryTypes, type Sequelize, UniqueConstraintError } from "sequelize";
import { selectList } from "../../mixins/statements.ts";
import { defineMail, type MailRow } from "./models/mail.model.ts";
import { defineUser, type UserRow } from "./models/user.model.ts";

export type { UserRow };
export type UserPatch = Partial<Pick<UserRow, "name" | "timeZone" | "locale" | "passwordHash">>;
export type AccessPatch = Partial<Pick<UserRow, "role" | "disabledAt">>;

export interface UserFilter {
  search?: string;
  after?: string;
  limit: number;
}

export type UserRepository = ReturnType<typeof createUserRepository>;

export function createUserRepository(database: Sequelize) {
  const User = defineUser(database);
  const Mail = defineMail(database);
  const columns = selectList(User);
  const plain = (found: InstanceType<typeof User> | null | undefined): UserRow | null =>
    found?.get({ plain: true }) ?? null;

  return {
    model: User,

    /**
     * Together with a mail to be sent, so that there is neither without the other. False when the address is taken: the
     * unique index decides, also between two at once.
     */
    async insert(user: UserRow, mail?: MailRow): Promise<boolean> {
      try {
        await database.transaction(async (transaction) => {
          await User.create(user, { transaction });
          if (mail) await Mail.create(mail, { transaction });
        });
        return true;
      } catch (error) {
        if (error instanceof UniqueConstraintError) return false;
        throw error;
      }
    },

    find: async (id: string) => plain(await User.findOne({ where: { id } })),

    findByEmail: async (email: string) => plain(await User.findOne({ where: { email } })),

    async update(id: string, patch: UserPatch): Promise<UserRow | null> {
      const [, [changed]] = await User.update(patch, { where: { id }, returning: true });
      return plain(changed);
    },

    /** Unless the password was changed meanwhile: then its hash stays. */
    async replaceHash(id: string, { from, to }: { from: string; to: string }): Promise<void> {
      await User.update({ passwordHash: to }, { where: { id, passwordHash: from } });
    },

    /**
     * Sets a new password and ends all sessions but one; false when the old one was replaced since it was compared, such
     * as by a reset: then nothing changes.
     */
    async changePassword(
      id: string,
      { from, to, keep, now }: { from: string; to: string; keep: string | null; now: Date },
    ): Promise<boolean> {
      return database.transaction(async (transaction) => {
        const [changed] = await User.update(
          { passwordHash: to },
          { where: { id, passwordHash: from }, transaction },
        );
        if (changed === 0) return false;
        await database.query(
          `UPDATE auth.sessions SET ended_at = $2
            WHERE user_id = $1 AND ended_at IS NULL AND id IS DISTINCT FROM $3::uuid`,
          { bind: [id, now, keep], transaction },
        );
        return true;
      });
    },

    /** The highest cost (log2 of bcrypt's rounds) of all password hashes; 0 when there are none. */
    async findHighestHashCost(): Promise<number> {
      const [row] = await database.query<{ cost: number | null }>(
        `SELECT max(substring(password_hash FROM '^\\$2[aby]\\$(\\d\\d)')::int) AS cost FROM auth.users`,
        { type: QueryTypes.SELECT },
      );
      return row?.cost ?? 0;
    },

    /** In the order they registered, after the given one; `search` is part of an address or a name. */
    async list({ search, after, limit }: UserFilter): Promise<UserRow[]> {
      const pattern = search === undefined ? null : `%${search.replace(/[\\%_]/g, "\\$&").toLowerCase()}%`;
      return database.query<UserRow>(
        `SELECT ${columns} FROM auth.users
          WHERE ($1::uuid IS NULL OR id > $1) AND ($2::text IS NULL OR email LIKE $2 OR lower(name) LIKE $2)
          ORDER BY id LIMIT $3`,
        { bind: [after ?? null, pattern, limit], type: QueryTypes.SELECT },
      );
    },

    /**
     * Changes role and access, unless that leaves no administrator: then nothing changes. All administrators' rows
     * are locked first, so that two of them can't remove each other at once.
     */
    async changeAccess(id: string, patch: AccessPatch): Promise<UserRow | "last_admin" | null> {
      return database.transaction(async (transaction) => {
        const admins = await User.findAll({
          where: { role: "admin", disabledAt: null },
          order: ["id"],
          lock: transaction.LOCK.UPDATE,
          transaction,
        });
        const demotes = patch.role === "user" || (patch.disabledAt ?? null) !== null;
        if (demotes && admins.length === 1 && admins[0]?.get({ plain: true }).id === id) return "last_admin";
        if (Object.keys(patch).length === 0) return plain(await User.findOne({ where: { id }, transaction }));
        const [, [changed]] = await User.update(patch, { where: { id }, returning: true, transaction });
        return plain(changed);
      });
    },
  };
}
