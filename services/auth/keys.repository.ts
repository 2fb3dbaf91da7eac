import { literal, type Sequelize } from "sequelize";
import { CHANNEL } from "./changes.repository.ts";
import { defineSigningKey, type SigningKeyRow } from "./models/signing-key.model.ts";

export type { SigningKeyRow };

export function createKeyRepository(database: Sequelize) {
  const SigningKey = defineSigningKey(database);

  return {
    /** The one that signs first, then the newest, by whatever clock made them. */
    async list(): Promise<SigningKeyRow[]> {
      const found = await SigningKey.findAll({
        order: [
          [literal("retired_at IS NULL"), "DESC"],
          ["createdAt", "DESC"],
          ["kid", "DESC"],
        ],
      });
      return found.map((key) => key.get({ plain: true }));
    },

    /** Stores a key unless there is one: of several replicas that start on an empty database, one wins. */
    async insertFirst(key: SigningKeyRow): Promise<void> {
      await database.transaction(async (transaction) => {
        await database.query("SELECT pg_advisory_xact_lock(hashtext('taskmesh signing keys'))", {
          transaction,
        });
        if ((await SigningKey.count({ transaction })) === 0) await SigningKey.create(key, { transaction });
      });
    },

    /** Lets this key sign from now on, and tells every replica. */
    async rotate(key: SigningKeyRow): Promise<void> {
      await database.transaction(async (transaction) => {
        await SigningKey.update({ retiredAt: key.createdAt }, { where: { retiredAt: null }, transaction });
        await SigningKey.create(key, { transaction });
        await database.query("SELECT pg_notify($1, 'keys rotated')", { bind: [CHANNEL], transaction });
      });
    },

    /** Replaces what keys are sealed with: all of them or none. */
    async reseal(change: (key: SigningKeyRow) => SigningKeyRow): Promise<number> {
      return database.transaction(async (transaction) => {
        const found = await SigningKey.findAll({ lock: transaction.LOCK.UPDATE, transaction });
        for (const key of found) await key.update(change(key.get({ plain: true })), { transaction });
        return found.length;
      });
    },
  };
}
