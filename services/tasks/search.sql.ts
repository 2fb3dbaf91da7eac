/*
 * The SQL side of a search: `tasks.search_query` of the migration turns a text into lexemes of its owner. It is an
 * immutable function of binds, so that PostgreSQL calls it once a statement, before it plans.
 */

/**
 * The ids of all tasks that have all words of a text, anywhere, also as parts of words: `found (id, relevance)`.
 * MATERIALIZED, since PostgreSQL knows nothing of how common a person's words are, and would rather read all their
 * tasks in order until enough of them match.
 *
 * Relevance is discrete, 1 to 6, so that it can be said what it means, and that a cursor can stand on it.
 */
export function foundSql(userId: string, q: string, { ranked }: { ranked: boolean }): string {
  const has = (places: string, joint: "&" | "|", whole: boolean): string =>
    `words @@ tasks.search_query(${userId}, ${q}, '${places}', '${joint}', ${whole})`;
  const relevance = `CASE
      WHEN ${has("A", "&", true)} THEN 6   -- all words, whole but for their endings, in the title
      WHEN ${has("A", "&", false)} THEN 5  -- all words in the title
      WHEN ${has("AB", "&", false)} THEN 4 -- all words in title and tags
      WHEN ${has("A", "|", false)} THEN 3  -- some word in the title
      WHEN ${has("B", "|", false)} THEN 2  -- some word in a tag
      ELSE 1 END`;
  return `WITH found AS MATERIALIZED (
    SELECT id${ranked ? `, ${relevance} AS relevance` : ""} FROM tasks.task_texts
     WHERE user_id = ${userId} AND ${has("", "&", false)})`;
}
