import type { Migration } from "../../../mixins/migrations.ts";

/** Sessions end by their age at the latest, and are removed by it: an index of their use would cost each refresh a write. */
export const up: Migration = async (database) => {
  await database.query("CREATE INDEX sessions_created_at ON auth.sessions (created_at)");
};

export const down: Migration = async (database) => {
  await database.query("DROP INDEX auth.sessions_created_at");
};
