import type { Sequelize } from "sequelize";
import { defineSigningKey, type SigningKeyRow } from "./models/signing-key.model.ts";

export type { SigningKeyRow };

export function createKeyRepository(database: Sequelize) {
  const SigningKey = defineSigningKey(database);

  return {
    /** Newest first. */
    async list(): Promise<SigningKeyRow[]> {
      const found = await SigningKey.findAll({
        order: [
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
  };
}
