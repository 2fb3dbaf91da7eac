import { randomBytes } from "node:crypto";
import type { Migration } from "../../../mixins/migrations.ts";

export const up: Migration = async (database) => {
  await database.query(`
    CREATE TABLE tasks.tasks (
      user_id uuid NOT NULL,
      id uuid NOT NULL,
      title text NOT NULL,
      description text NOT NULL,
      status text NOT NULL CHECK (status IN ('open', 'in_progress', 'done', 'cancelled')),
      -- 0 none, 1 low, 2 medium, 3 high, 4 urgent: a number, so that it sorts.
      priority smallint NOT NULL CHECK (priority BETWEEN 0 AND 4),
      -- An all-day task has its date here; due_at is then when that day begins in due_zone.
      due_on date,
      due_zone text,
      due_at timestamptz(3),
      tags text[] NOT NULL,
      completed_at timestamptz(3),
      version integer NOT NULL,
      created_at timestamptz(3) NOT NULL,
      updated_at timestamptz(3) NOT NULL,
      PRIMARY KEY (user_id, id),
      CHECK ((due_on IS NULL) = (due_zone IS NULL) AND (due_on IS NULL OR due_at IS NOT NULL)),
      CHECK ((status = 'done') = (completed_at IS NOT NULL))
    );
    CREATE INDEX tasks_created ON tasks.tasks (user_id, created_at, id);
    CREATE INDEX tasks_updated ON tasks.tasks (user_id, updated_at, id);
    -- Tasks without a due time come last in both directions.
    CREATE INDEX tasks_due_asc ON tasks.tasks (user_id, coalesce(due_at, 'infinity'), id);
    CREATE INDEX tasks_due_desc ON tasks.tasks (user_id, coalesce(due_at, '-infinity'), id);
    CREATE INDEX tasks_priority ON tasks.tasks (user_id, priority, id);
    -- Without regard to case, in any language, and in the same order on every server.
    CREATE INDEX tasks_title ON tasks.tasks (user_id, lower(title COLLATE "und-x-icu") COLLATE "C", id);

    -- Finds the all-day tasks whose due_at was computed in another time zone than the person's present one.
    CREATE INDEX tasks_due_zone ON tasks.tasks (user_id, due_zone) WHERE due_on IS NOT NULL;

    -- Authenticates cursors; the same for every tasks node.
    CREATE TABLE tasks.cursor_key (
      only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
      key bytea NOT NULL
    );
  `);
  await database.query("INSERT INTO tasks.cursor_key (key) VALUES ($1)", { bind: [randomBytes(32)] });
};

export const down: Migration = async (database) => {
  await database.query("DROP TABLE tasks.cursor_key, tasks.tasks");
};
