import type { Migration } from "../../../mixins/migrations.ts";

/*
 * To read a text for the search takes some 5 µs a character, while its person's other writes wait. In one transaction
 * no more is read than these characters, and titles; the rest is left for the tasks nodes (texts.repository.ts).
 */
const READ_AT_ONCE = 50_000;

export const up: Migration = async (database) => {
  await database.query(`
    -- As before, but of a word that comes again and again the letters are gone through once.
    CREATE OR REPLACE FUNCTION tasks.search_vector(owner uuid, title text, tags text[], description text)
    RETURNS tsvector
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET jit = off AS $$
    DECLARE
      begin_with text := '''' || tasks.search_key(owner);
    BEGIN
      RETURN coalesce((
        SELECT string_agg(begin_with || lexeme || place, ' ')
          FROM (
            SELECT place,
                   CASE
                     WHEN n > 0 THEN substr(chunk, n, 8)
                     WHEN start = 0 THEN '=' || tasks.search_stem(word)
                   END AS lexeme
              FROM (VALUES (''':1A', tasks.search_fold(title, 2000)),
                           (''':2B', tasks.search_fold(array_to_string(tags, ' '), 2000)),
                           (''':3C', tasks.search_fold(description, 20000))) AS texts (place, folded),
                   LATERAL (SELECT DISTINCT word FROM tasks.search_words(folded) AS word) AS words,
                   generate_series(0, length(word), 64) AS start,
                   LATERAL (SELECT substr(word, start + 1, 71) AS chunk OFFSET 0) AS chunks,
                   generate_series(0, least(64, length(word) - start)) AS n
          ) AS lexemes
         WHERE lexeme IS NOT NULL
      )::tsvector, '');
    END $$;

    -- Tasks whose tags and description are still to be read.
    CREATE TABLE tasks.unread_texts (
      user_id uuid NOT NULL,
      id uuid NOT NULL,
      PRIMARY KEY (user_id, id)
    );

    -- What a task is found by from now on: by its title at least.
    CREATE FUNCTION tasks.read_text(owner uuid, task uuid, title text, tags text[], description text)
    RETURNS tsvector LANGUAGE plpgsql AS $$
    DECLARE
      characters integer := coalesce(nullif(current_setting('tasks.characters_read', true), ''), '0')::integer
        + length(title) + length(array_to_string(tags, ' ')) + length(description);
    BEGIN
      -- Of this transaction only.
      PERFORM set_config('tasks.characters_read', characters::text, true);
      IF characters <= ${READ_AT_ONCE} THEN
        RETURN tasks.search_vector(owner, title, tags, description);
      END IF;
      INSERT INTO tasks.unread_texts VALUES (owner, task) ON CONFLICT DO NOTHING;
      RETURN tasks.search_vector(owner, title, '{}', '');
    END $$;

    CREATE OR REPLACE FUNCTION tasks.add_task_texts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO tasks.task_texts
        SELECT user_id, id, tasks.read_text(user_id, id, title, tags, description) FROM added;
      RETURN NULL;
    END $$;
    CREATE OR REPLACE FUNCTION tasks.change_task_text() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE tasks.task_texts SET words = tasks.read_text(NEW.user_id, NEW.id, NEW.title, NEW.tags, NEW.description)
       WHERE user_id = OLD.user_id AND id = OLD.id;
      RETURN NULL;
    END $$;
    CREATE OR REPLACE FUNCTION tasks.remove_task_texts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM tasks.task_texts texts USING removed
       WHERE texts.user_id = removed.user_id AND texts.id = removed.id;
      DELETE FROM tasks.unread_texts texts USING removed
       WHERE texts.user_id = removed.user_id AND texts.id = removed.id;
      RETURN NULL;
    END $$;
  `);
};

/** What is unread is read at last. (tasks.search_vector gives what it gave, and stays.) */
export const down: Migration = async (database) => {
  await database.query(`
    UPDATE tasks.task_texts texts
       SET words = tasks.search_vector(task.user_id, task.title, task.tags, task.description)
      FROM tasks.unread_texts unread JOIN tasks.tasks task USING (user_id, id)
     WHERE texts.user_id = unread.user_id AND texts.id = unread.id;
    CREATE OR REPLACE FUNCTION tasks.add_task_texts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO tasks.task_texts
        SELECT user_id, id, tasks.search_vector(user_id, title, tags, description) FROM added;
      RETURN NULL;
    END $$;
    CREATE OR REPLACE FUNCTION tasks.change_task_text() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE tasks.task_texts
         SET words = tasks.search_vector(NEW.user_id, NEW.title, NEW.tags, NEW.description)
       WHERE user_id = OLD.user_id AND id = OLD.id;
      RETURN NULL;
    END $$;
    CREATE OR REPLACE FUNCTION tasks.remove_task_texts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM tasks.task_texts texts USING removed
       WHERE texts.user_id = removed.user_id AND texts.id = removed.id;
      RETURN NULL;
    END $$;
    DROP FUNCTION tasks.read_text;
    DROP TABLE tasks.unread_texts;
  `);
};
