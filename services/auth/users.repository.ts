import { type Sequelize, UniqueConstraintError } from "sequelize";
import { defineUser, type UserRow } from "./models/user.model.ts";

export type { UserRow };
export type UserPatch = Partial<Pick<UserRow, "name" | "timeZone" | "locale" | "passwordHash">>;
export type UserRepository = ReturnType<typeof createUserRepository>;

export function createUserRepository(database: Sequelize) {
  const User = defineUser(database);
  const plain = (found: InstanceType<typeof User> | null | undefined): UserRow | null =>
    found?.get({ plain: true }) ?? null;

  return {
    model: User,

    /** False when the address is taken: the unique index decides, also between two at once. */
    async insert(user: UserRow): Promise<boolean> {
      try {
        await User.create(user);
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

    /** Also ends and removes the sessions. */
    async remove(id: string): Promise<void> {
      await User.destroy({ where: { id } });
    },
  };
}
