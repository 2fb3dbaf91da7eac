import type { Migration } from "../../../mixins/migrations.ts";

/** Indexes of the list: over what is not in the trash. */
const LIST_INDEXES = {
  tasks_created: "created_at",
  tasks_updated: "updated_at",
  tasks_due_asc: "coalesce(due_at, 'infinity')",
  tasks_due_desc: "coalesce(due_at, '-infinity')",
  tasks_priority: "priority",
  tasks_title: 'lower(title COLLATE "und-x-icu") COLLATE "C"',
};

const listIndexes = (condition: string): string =>
  Object.entries(LIST_INDEXES)
    .map(
      ([name, key]) => `DROP INDEX tasks.${name};
        CREATE INDEX ${name} ON tasks.tasks (user_id, ${key}, id) ${condition};`,
    )
    .join("\n");

export const up: Migration = async (database) => {
  await database.query(`
    ALTER TABLE tasks.tasks
      -- When it went to the trash; null outside.
      ADD COLUMN deleted_at timestamptz(3),
      -- The request that wrote it last, so that the same request is not done again.
      ADD COLUMN operation uuid;
    ${listIndexes("WHERE deleted_at IS NULL")}
    CREATE INDEX tasks_trash ON tasks.tasks (user_id, deleted_at, id) WHERE deleted_at IS NOT NULL;
    -- For the purge, which goes through everybody's trash.
    CREATE INDEX tasks_purge ON tasks.tasks (deleted_at) WHERE deleted_at IS NOT NULL;

    -- The number of a person's last change. Whoever writes holds this row until they commit: so numbers have no gaps,
    -- and are in the order of the commits. Room in each page, so that an update touches no index.
    CREATE TABLE tasks.change_heads (
      user_id uuid PRIMARY KEY,
      seq bigint NOT NULL,
      -- The last change that compaction removed: who has not read so far has to start over.
      compacted_to bigint NOT NULL DEFAULT 0
    ) WITH (fillfactor = 50);

    -- Every accepted write to a task, with the task as it was then.
    CREATE TABLE tasks.task_changes (
      user_id uuid NOT NULL,
      seq bigint NOT NULL,
      op text NOT NULL CHECK (op IN ('create', 'update', 'delete', 'restore', 'erase')),
      at timestamptz(3) NOT NULL,
      operation uuid,
      task_id uuid NOT NULL,
      version integer NOT NULL,
      -- Null in all changes of a task that was erased.
      title text,
      description text,
      status text,
      priority smallint,
      due_on date,
      due_zone text,
      due_at timestamptz(3),
      tags text[],
      completed_at timestamptz(3),
      created_at timestamptz(3) NOT NULL,
      PRIMARY KEY (user_id, seq)
    );
    CREATE UNIQUE INDEX task_changes_version ON tasks.task_changes (user_id, task_id, version);
    CREATE UNIQUE INDEX task_changes_operation ON tasks.task_changes (user_id, operation)
      WHERE operation IS NOT NULL;
    -- Changes come in the order of time: this finds the old ones and costs next to nothing.
    CREATE INDEX task_changes_at ON tasks.task_changes USING brin (at) WITH (pages_per_range = 16);

    -- The version counts real changes, whoever writes. A write that changes nothing of a task is none.
    CREATE FUNCTION tasks.count_version() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF (NEW.user_id, NEW.id) IS DISTINCT FROM (OLD.user_id, OLD.id) THEN
        RAISE EXCEPTION 'A task keeps its id and its person.';
      END IF;
      -- An all-day task is due on the same day whatever its zone.
      IF (OLD.title, OLD.description, OLD.status, OLD.priority, OLD.due_on,
          CASE WHEN OLD.due_on IS NULL THEN OLD.due_at END, OLD.tags, OLD.completed_at, OLD.deleted_at)
        IS DISTINCT FROM
         (NEW.title, NEW.description, NEW.status, NEW.priority, NEW.due_on,
          CASE WHEN NEW.due_on IS NULL THEN NEW.due_at END, NEW.tags, NEW.completed_at, NEW.deleted_at)
      THEN
        NEW.version := OLD.version + 1;
        RETURN NEW;
      END IF;
      IF (NEW.due_at, NEW.due_zone) IS NOT DISTINCT FROM (OLD.due_at, OLD.due_zone) THEN
        RETURN NULL;
      END IF;
      NEW.version := OLD.version;
      NEW.updated_at := OLD.updated_at;
      NEW.operation := OLD.operation;
      RETURN NEW;
    END $$;
    CREATE TRIGGER count_version BEFORE UPDATE ON tasks.tasks
      FOR EACH ROW EXECUTE FUNCTION tasks.count_version();

    -- Appends to the log in the transaction of the write, so that no path can write a task without it.
    CREATE FUNCTION tasks.log_change() RETURNS trigger LANGUAGE plpgsql AS $$
    DECLARE
      next bigint;
    BEGIN
      IF TG_OP = 'UPDATE' AND NEW.version = OLD.version THEN
        RETURN NULL;
      END IF;
      INSERT INTO tasks.change_heads AS head (user_id, seq)
        VALUES (CASE TG_OP WHEN 'DELETE' THEN OLD.user_id ELSE NEW.user_id END, 1)
        ON CONFLICT (user_id) DO UPDATE SET seq = head.seq + 1
        RETURNING head.seq INTO next;
      IF TG_OP = 'DELETE' THEN
        -- Erased is erased: what the task was goes from its history too. The numbers stay.
        UPDATE tasks.task_changes
           SET title = NULL, description = NULL, status = NULL, priority = NULL, due_on = NULL, due_zone = NULL,
               due_at = NULL, tags = NULL, completed_at = NULL
         WHERE user_id = OLD.user_id AND task_id = OLD.id;
        INSERT INTO tasks.task_changes (user_id, seq, op, at, task_id, version, created_at)
          VALUES (OLD.user_id, next, 'erase', now(), OLD.id, OLD.version + 1, OLD.created_at);
        RETURN NULL;
      END IF;
      INSERT INTO tasks.task_changes
          (user_id, seq, op, at, operation, task_id, version, title, description, status, priority,
           due_on, due_zone, due_at, tags, completed_at, created_at)
        VALUES
          (NEW.user_id, next,
           CASE
             WHEN TG_OP = 'INSERT' THEN 'create'
             WHEN NEW.deleted_at IS NOT NULL AND OLD.deleted_at IS NULL THEN 'delete'
             WHEN NEW.deleted_at IS NULL AND OLD.deleted_at IS NOT NULL THEN 'restore'
             ELSE 'update'
           END,
           NEW.updated_at,
           CASE WHEN TG_OP = 'INSERT' OR NEW.operation IS DISTINCT FROM OLD.operation THEN NEW.operation END,
           NEW.id, NEW.version, NEW.title, NEW.description, NEW.status, NEW.priority,
           NEW.due_on, NEW.due_zone, NEW.due_at, NEW.tags, NEW.completed_at, NEW.created_at);
      RETURN NULL;
    END $$;
    CREATE TRIGGER log_change AFTER INSERT OR UPDATE OR DELETE ON tasks.tasks
      FOR EACH ROW EXECUTE FUNCTION tasks.log_change();

    CREATE FUNCTION tasks.refuse_truncate() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      RAISE EXCEPTION 'TRUNCATE would pass by the change log: use DELETE.';
    END $$;
    CREATE TRIGGER refuse_truncate BEFORE TRUNCATE ON tasks.tasks
      FOR EACH STATEMENT EXECUTE FUNCTION tasks.refuse_truncate();

    -- Answers to requests with an Idempotency-Key, for who repeats one.
    CREATE TABLE tasks.answers (
      user_id uuid NOT NULL,
      key text NOT NULL,
      -- SHA-256 of the request: another one with the same key is a mistake.
      request bytea NOT NULL,
      -- As text, so that it comes back as it was.
      answer json NOT NULL,
      created_at timestamptz(3) NOT NULL,
      PRIMARY KEY (user_id, key)
    );
    CREATE INDEX answers_created_at ON tasks.answers (created_at);

    -- Tasks from before the log begin it.
    INSERT INTO tasks.task_changes
        (user_id, seq, op, at, task_id, version, title, description, status, priority,
         due_on, due_zone, due_at, tags, completed_at, created_at)
      SELECT user_id, row_number() OVER (PARTITION BY user_id ORDER BY created_at, id), 'create', updated_at, id, version,
             title, description, status, priority, due_on, due_zone, due_at, tags, completed_at, created_at
        FROM tasks.tasks;
    INSERT INTO tasks.change_heads (user_id, seq) SELECT user_id, max(seq) FROM tasks.task_changes GROUP BY user_id;
  `);
};

export const down: Migration = async (database) => {
  await database.query(`
    DROP TRIGGER count_version ON tasks.tasks;
    DROP TRIGGER log_change ON tasks.tasks;
    DROP TRIGGER refuse_truncate ON tasks.tasks;
    DROP FUNCTION tasks.count_version, tasks.log_change, tasks.refuse_truncate;
    DROP TABLE tasks.answers, tasks.task_changes, tasks.change_heads;
    DROP INDEX tasks.tasks_trash, tasks.tasks_purge;
    ${listIndexes("")}
    -- There is no trash any more; what was in it stays deleted.
    DELETE FROM tasks.tasks WHERE deleted_at IS NOT NULL;
    ALTER TABLE tasks.tasks DROP COLUMN deleted_at, DROP COLUMN operation;
  `);
};
