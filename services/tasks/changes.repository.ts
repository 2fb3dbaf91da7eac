import type { Run } from "../../mixins/statements.ts";
import type { TaskContent } from "./models/task.model.ts";

type Op = "create" | "update" | "delete" | "restore" | "erase";

/** One change of the log. What the task was like is null in all of a task that was erased. */
export interface ChangeRow extends TaskContent {
  seq: number;
  op: Op;
  at: Date;
  taskId: string;
  version: number;
  createdAt: Date;
  /** Whether the content is there. */
  kept: boolean;
}

/** Some of the log, and where it stands. */
export interface LogPage {
  /** Number of the last change there is. */
  head: number;
  /** Number of the last change that compaction removed. */
  compactedTo: number;
  changes: ChangeRow[];
  /** Whether there are more after these. */
  more: boolean;
}

/**
 * Bytes of text after which a page ends. JSON has up to six for one, a thousand changes add half a MiB of the rest, and a
 * message holds 15 MiB (lib/serializer.ts).
 */
const PAGE_BYTES = 2 * 2 ** 20;
/** (Of what is stored compressed, it takes the length without reading it.) */
const TEXT_BYTES =
  "octet_length(read.title) + octet_length(read.description) + octet_length(array_to_string(read.tags, ''))";

const COLUMNS = `c.seq::float8 AS seq, c.op, c.at, c.task_id AS "taskId", c.version, c.title, c.description, c.status,
  c.priority, c.due_on AS "dueOn", c.due_zone AS "dueZone", c.due_at AS "dueAt", c.tags,
  c.completed_at AS "completedAt", c.created_at AS "createdAt", c.title IS NOT NULL AS kept`;

/** Reads of the change log, and the removal of what is old. */
export function createChangeQueries(run: Run) {
  /** Each row begins with where the log stands; a person who never wrote has none, and an empty page one without a change. */
  async function page(sql: string, bind: unknown[]): Promise<LogPage> {
    const rows = await run<ChangeRow & { head: number; compactedTo: number; more: boolean }>(sql, bind);
    const [first] = rows;
    return {
      head: first?.head ?? 0,
      compactedTo: first?.compactedTo ?? 0,
      changes: rows.filter(({ seq }) => seq !== null),
      more: rows.at(-1)?.more ?? false,
    };
  }

  /**
   * @param changes one more than are wanted
   * @param order that they are in
   * @param limit how many are wanted; they may be fewer for their length, but one at least
   */
  const inPages = (changes: string, order: string, limit: string): string =>
    `SELECT head.seq::float8 AS head, head.compacted_to::float8 AS "compactedTo", c.*
       FROM tasks.change_heads head LEFT JOIN LATERAL (
         SELECT * FROM (
           SELECT read.*, lead(true, 1, false) OVER sorted AS more,
                  sum(${TEXT_BYTES}) OVER (sorted ROWS UNBOUNDED PRECEDING EXCLUDE CURRENT ROW) AS bytes_before
             FROM (${changes}) read WINDOW sorted AS (ORDER BY read.${order})
         ) page WHERE coalesce(page.bytes_before, 0) < ${PAGE_BYTES} ORDER BY page.${order} LIMIT ${limit}
       ) c ON true
      WHERE head.user_id = $1`;

  return {
    /** Changes after that one, in their order. */
    changesAfter: (userId: string, since: number, limit: number): Promise<LogPage> =>
      page(
        inPages(
          `SELECT ${COLUMNS} FROM tasks.task_changes c
            WHERE c.user_id = $1 AND c.seq > $2 ORDER BY c.seq LIMIT $3::integer + 1`,
          "seq",
          "$3",
        ),
        [userId, since, limit],
      ),

    /**
     * The last change of each task that is there, in the order of their ids. What has changed since the snapshot began
     * is left out: it comes with the changes after `upTo`.
     *
     * @param upTo where the log stood when the snapshot began; null when it begins now
     */
    snapshot: (
      userId: string,
      { after, upTo, limit }: { after: string | null; upTo: number | null; limit: number },
    ): Promise<LogPage> =>
      page(
        inPages(
          `SELECT ${COLUMNS} FROM tasks.tasks t
             JOIN tasks.task_changes c ON c.user_id = t.user_id AND c.task_id = t.id AND c.version = t.version
            WHERE t.user_id = $1 AND t.deleted_at IS NULL AND ($2::uuid IS NULL OR t.id > $2)
              AND c.seq <= coalesce($3, head.seq)
            ORDER BY t.id LIMIT $4::integer + 1`,
          '"taskId"',
          "$4",
        ),
        [userId, after, upTo, limit],
      ),

    /** Versions of a task, the newest first. */
    versions: (
      userId: string,
      taskId: string,
      { below = null, limit }: { below?: number | null; limit: number },
    ): Promise<ChangeRow[]> =>
      run(
        `SELECT ${COLUMNS} FROM tasks.task_changes c
          WHERE c.user_id = $1 AND c.task_id = $2 AND ($3::integer IS NULL OR c.version < $3) AND c.title IS NOT NULL
          ORDER BY c.version DESC LIMIT $4`,
        [userId, taskId, below, limit],
      ),

    async version(userId: string, taskId: string, version: number): Promise<ChangeRow | null> {
      const [found] = await this.versions(userId, taskId, { below: version + 1, limit: 1 });
      return found?.version === version ? found : null;
    },

    /** What a request did to a task, when it was done before. */
    async repeated(userId: string, operation: string): Promise<ChangeRow | null> {
      const [found] = await run<ChangeRow>(
        `SELECT ${COLUMNS} FROM tasks.task_changes c WHERE c.user_id = $1 AND c.operation = $2`,
        [userId, operation],
      );
      return found ?? null;
    },

    /**
     * Goes on through the changes from before that moment, and removes what each of them followed: earlier versions of
     * its task, and itself when it says that the task is gone. At most so many at a time; one caller at a time.
     *
     * @returns how many it went through
     */
    async compact(before: Date, limit: number): Promise<number> {
      const [row] = await run<{ walked: number }>(
        `WITH place AS (
           SELECT at, user_id, seq FROM tasks.compaction FOR UPDATE SKIP LOCKED
         ), walked AS (
           SELECT c.* FROM place, LATERAL (
             SELECT at, user_id, seq, task_id, CASE op WHEN 'erase' THEN version + 1 ELSE version END AS kept_from
               FROM tasks.task_changes
              WHERE (at, user_id, seq) > (place.at, place.user_id, place.seq) AND at < $1
              ORDER BY at, user_id, seq LIMIT $2
           ) c
         ), heads AS (
           SELECT user_id FROM tasks.change_heads
            WHERE user_id IN (SELECT user_id FROM walked) ORDER BY user_id FOR UPDATE
         ), removed AS (
           DELETE FROM tasks.task_changes c
            USING (SELECT user_id, task_id, max(kept_from) AS kept_from FROM walked GROUP BY user_id, task_id) task
            WHERE c.user_id = task.user_id AND c.task_id = task.task_id AND c.version < task.kept_from
              AND c.user_id IN (SELECT user_id FROM heads)
           RETURNING c.user_id, c.seq
         ), told AS (
           UPDATE tasks.change_heads h SET compacted_to = greatest(h.compacted_to, r.seq)
             FROM (SELECT user_id, max(seq) AS seq FROM removed GROUP BY user_id) r
            WHERE h.user_id = r.user_id
         ), gone_on AS (
           UPDATE tasks.compaction SET (at, user_id, seq) =
             (SELECT at, user_id, seq FROM walked ORDER BY at DESC, user_id DESC, seq DESC LIMIT 1)
            WHERE EXISTS (SELECT FROM walked)
         )
         SELECT count(*)::integer AS walked FROM walked`,
        [before, limit],
      );
      return row?.walked ?? 0;
    },
  };
}
