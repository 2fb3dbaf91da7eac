import type { Migration } from "../../../mixins/migrations.ts";

/** Letters that PostgreSQL does not count among them: accents that stay, and the vowel signs of Asian scripts. */
const MARKS =
  "\\u0300-\\u036f\\u0483-\\u0487\\u0591-\\u05bd\\u0610-\\u061a\\u064b-\\u065f\\u0670\\u06d6-\\u06ed" +
  "\\u0900-\\u0963\\u0971-\\u0df3\\u0e31-\\u0e4e\\u0eb1-\\u0ecd\\u0f71-\\u0f84\\u102b-\\u103e\\u17b4-\\u17d3";
/** Pictures: each is a word. */
const EMOJI = "[\\u2600-\\u27bf\\U0001f000-\\U0001faff]";

/*
 * What a task is found by, docs/decisions/0018-search.md: lexemes that begin with their owner's key and go on with
 *   =stem  a whole word, without its ending
 *   part   the letters of a word from any of them on, eight at the most: their beginnings are all parts of the word
 * at place 1A when they come from the title, 2B from a tag, 3C from the description.
 */
export const up: Migration = async (database) => {
  await database.query(`
    -- Without stop words: somebody who looks for "not" wants to find it.
    CREATE TEXT SEARCH DICTIONARY tasks.english (TEMPLATE = pg_catalog.snowball, Language = english);
    CREATE TEXT SEARCH DICTIONARY tasks.russian (TEMPLATE = pg_catalog.snowball, Language = russian);

    -- One spelling for what people take for the same: case, width, accents on Latin letters, ё and е.
    CREATE FUNCTION tasks.search_fold(given text, most integer) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(
      translate(
        normalize(
          regexp_replace(
            lower(normalize(left(given, most), NFKD) COLLATE "und-x-icu"),
            '([a-z])[\\u0300-\\u036f]+', '\\1', 'g'
          ),
          NFC
        ),
        'ёς', 'еσ'
      ),
      most
    );

    -- The words of a folded text, in their order. All else separates them.
    CREATE FUNCTION tasks.search_words(folded text) RETURNS SETOF text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 10
    BEGIN ATOMIC
      SELECT found[1]
        FROM regexp_matches(folded COLLATE "und-x-icu", '[[:alnum:]${MARKS}]+|${EMOJI}', 'g') AS found;
    END;

    -- Null for what is too long to be a word of a language.
    CREATE FUNCTION tasks.search_stem(word text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN CASE
      WHEN length(word) > 32 THEN NULL
      WHEN word COLLATE "C" ~ '[а-я]' THEN (ts_lexize('tasks.russian', word))[1]
      WHEN word COLLATE "C" ~ '[a-z]' THEN (ts_lexize('tasks.english', word))[1]
      ELSE word
    END;

    -- Six characters, so that of a million people hardly two have the same.
    CREATE FUNCTION tasks.search_key(owner uuid) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN left(encode(substr(uuid_send(owner), 11, 6), 'base64'), 6);

    -- PL/pgSQL keeps the plan of its query, which takes longer to make than to run. To compile it would take longer
    -- still, and PostgreSQL thinks it worthwhile, since it takes generate_series for long.
    CREATE FUNCTION tasks.search_vector(owner uuid, title text, tags text[], description text) RETURNS tsvector
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
                   LATERAL tasks.search_words(folded) AS word,
                   -- In chunks, since a letter is found by counting from the beginning of its text. OFFSET 0 has each
                   -- chunk cut once.
                   generate_series(0, length(word), 64) AS start,
                   LATERAL (SELECT substr(word, start + 1, 71) AS chunk OFFSET 0) AS chunks,
                   generate_series(0, least(64, length(word) - start)) AS n
          ) AS lexemes
         WHERE lexeme IS NOT NULL
      )::tsvector, '');
    END $$;

    -- What finds the tasks with all words of a text (joint '&') or any of them ('|'), at these places ('' is all),
    -- as parts of words too unless they must be whole. Null for a text without words.
    CREATE FUNCTION tasks.search_query(owner uuid, asked text, places text, joint text, whole boolean)
    RETURNS tsquery
    LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET jit = off AS $$
    DECLARE
      begin_with text := '''' || tasks.search_key(owner);
    BEGIN
      RETURN (
        SELECT string_agg(found_by, joint)
          FROM (SELECT DISTINCT word FROM tasks.search_words(tasks.search_fold(asked, 4000)) AS word) AS words,
               LATERAL (
                 SELECT '(' || string_agg(way, '|') || ')' AS found_by
                   FROM (
                     SELECT begin_with || '=' || coalesce(tasks.search_stem(word), '') || ''':' || places AS way
                     UNION ALL
                     -- A word of more than eight letters is looked for in overlapping parts.
                     SELECT string_agg(begin_with || substr(word, start, 8) || ''':*' || places, '&')
                       FROM (SELECT generate_series(1, length(word) - 7, 4)
                             UNION SELECT greatest(1, length(word) - 7)) AS parts (start)
                      WHERE NOT whole
                   ) AS ways
               ) AS ways_of_word
      )::tsquery;
    END $$;

    -- Apart from the tasks, so that a change of anything but the text leaves these and their index alone. Triggers
    -- keep it, whoever writes; without a foreign key, since those cascade row by row.
    CREATE TABLE tasks.task_texts (
      user_id uuid NOT NULL,
      id uuid NOT NULL,
      words tsvector NOT NULL,
      PRIMARY KEY (user_id, id)
    );

    CREATE FUNCTION tasks.add_task_texts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      INSERT INTO tasks.task_texts
        SELECT user_id, id, tasks.search_vector(user_id, title, tags, description) FROM added;
      RETURN NULL;
    END $$;
    CREATE FUNCTION tasks.change_task_text() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      UPDATE tasks.task_texts
         SET words = tasks.search_vector(NEW.user_id, NEW.title, NEW.tags, NEW.description)
       WHERE user_id = OLD.user_id AND id = OLD.id;
      RETURN NULL;
    END $$;
    CREATE FUNCTION tasks.remove_task_texts() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      DELETE FROM tasks.task_texts texts USING removed
       WHERE texts.user_id = removed.user_id AND texts.id = removed.id;
      RETURN NULL;
    END $$;

    CREATE TRIGGER add_task_texts AFTER INSERT ON tasks.tasks
      REFERENCING NEW TABLE AS added FOR EACH STATEMENT EXECUTE FUNCTION tasks.add_task_texts();
    CREATE TRIGGER change_task_text AFTER UPDATE ON tasks.tasks FOR EACH ROW
      WHEN ((OLD.title, OLD.tags, OLD.description) IS DISTINCT FROM (NEW.title, NEW.tags, NEW.description))
      EXECUTE FUNCTION tasks.change_task_text();
    CREATE TRIGGER remove_task_texts AFTER DELETE ON tasks.tasks
      REFERENCING OLD TABLE AS removed FOR EACH STATEMENT EXECUTE FUNCTION tasks.remove_task_texts();

    -- After the triggers, which let nobody write from here to the end: no task is left out.
    INSERT INTO tasks.task_texts
      SELECT user_id, id, tasks.search_vector(user_id, title, tags, description) FROM tasks.tasks;
    -- A list of pending entries would be everybody's, and read by every search.
    CREATE INDEX task_texts_words ON tasks.task_texts USING gin (words) WITH (fastupdate = off);

    -- The few tasks of one status among many of others, newest or oldest first, without reading the many.
    CREATE INDEX tasks_status ON tasks.tasks (user_id, status, created_at, id) WHERE deleted_at IS NULL;
    -- Costs nothing until a task is done.
    CREATE INDEX tasks_completed ON tasks.tasks (user_id, completed_at)
      WHERE completed_at IS NOT NULL AND deleted_at IS NULL;
  `);
};

export const down: Migration = async (database) => {
  await database.query(`
    DROP INDEX tasks.tasks_status, tasks.tasks_completed;
    DROP TRIGGER add_task_texts ON tasks.tasks;
    DROP TRIGGER change_task_text ON tasks.tasks;
    DROP TRIGGER remove_task_texts ON tasks.tasks;
    DROP FUNCTION tasks.add_task_texts, tasks.change_task_text, tasks.remove_task_texts;
    DROP TABLE tasks.task_texts;
    DROP FUNCTION tasks.search_query, tasks.search_vector, tasks.search_key, tasks.search_stem,
      tasks.search_words, tasks.search_fold;
    DROP TEXT SEARCH DICTIONARY tasks.english;
    DROP TEXT SEARCH DICTIONARY tasks.russian;
  `);
};
