import type { Migration } from "../../../mixins/migrations.ts";

/** Compaction looked at all old changes in each of its rounds, until that took longer than a statement may: it walks now. */
export const up: Migration = async (database) => {
  await database.query(`
    -- The way through the log in the order of time, each change once.
    CREATE INDEX task_changes_way ON tasks.task_changes (at, user_id, seq);
    DROP INDEX tasks.task_changes_at;
    -- The last change that compaction has been at, of everybody's.
    CREATE TABLE tasks.compaction (
      only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
      at timestamptz(3) NOT NULL DEFAULT '-infinity',
      user_id uuid NOT NULL DEFAULT '00000000-0000-0000-0000-000000000000',
      seq bigint NOT NULL DEFAULT 0
    );
    INSERT INTO tasks.compaction DEFAULT VALUES;
  `);
};

export const down: Migration = async (database) => {
  await database.query(`
    CREATE INDEX task_changes_at ON tasks.task_changes USING brin (at) WITH (pages_per_range = 16);
    DROP INDEX tasks.task_changes_way;
    DROP TABLE tasks.compaction;
  `);
};
