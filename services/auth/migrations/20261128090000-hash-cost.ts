import type { Migration } from "../../../mixins/migrations.ts";

/** Every auth asks for the highest cost at its start, which read all accounts: with two million, for too long to start. */
export const up: Migration = async (database) => {
  await database.query(
    String.raw`CREATE INDEX users_hash_cost ON auth.users ((substring(password_hash FROM '^\$2[aby]\$(\d\d)')::int))`,
  );
};

export const down: Migration = async (database) => {
  await database.query("DROP INDEX auth.users_hash_cost");
};
