const COLUMNS = `id, user_id AS "userId", title, description, status, priority, coalesce(due_on::text, due_at::text) AS due,
  tags, completed_at AS "completedAt", version, created_at AS "createdAt", updated_at AS "updatedAt"`;

const LIST = `SELECT ${COLUMNS} FROM tasks.tasks WHERE user_id = $1 AND deleted_at IS NULL
  ORDER BY created_at DESC, id DESC LIMIT 20`;

/** Statements of the bare servers, by the name that each is prepared under. */
export const STATEMENTS = {
  list: LIST,
  /** One row with the page as `text`. */
  listText: `SELECT json_build_object('items', coalesce(json_agg(page), '[]'))::text AS text FROM (${LIST}) page`,
  get: `SELECT ${COLUMNS} FROM tasks.tasks WHERE user_id = $1 AND id = $2 AND deleted_at IS NULL`,
  create: `INSERT INTO tasks.tasks
      (user_id, id, title, description, status, priority, tags, version, created_at, updated_at)
    VALUES ($1, $2, $3, $4, 'open', 0, $5, 1, now(), now()) RETURNING ${COLUMNS}`,
  patch: `UPDATE tasks.tasks SET title = $3, updated_at = now() WHERE user_id = $1 AND id = $2 RETURNING ${COLUMNS}`,
};
