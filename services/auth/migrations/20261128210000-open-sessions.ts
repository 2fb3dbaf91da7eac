import type { Migration } from "../../../mixins/migrations.ts";

/** The sessions of a person that have not ended, among the many that have: looked at whenever somebody signs in. */
export const up: Migration = async (database) => {
  await database.query("CREATE INDEX sessions_open ON auth.sessions (user_id) WHERE ended_at IS NULL");
};

export const down: Migration = async (database) => {
  await database.query("DROP INDEX auth.sessions_open");
};
