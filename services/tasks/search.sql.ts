/*
 * The SQL side of a search: `tasks.search_query` of the migration turns a text into lexemes of its owner. All of these
 * are immutable functions of binds, so that PostgreSQL calls them once a statement, before it plans.
 */

/** What a task must match to be found by a text: all words of it, anywhere, also as parts of words. */
export const matches = (userId: string, q: string): string =>
  `words @@ tasks.search_query(${userId}, ${q}, '', '&', false)`;

/**
 * How well a task that is found fits, from 1 to 6. Discrete, so that it can be said what it means, and that a cursor
 * can stand on it.
 */
export const relevance = (userId: string, q: string): string => {
  const found = (places: string, joint: "&" | "|", whole: boolean): string =>
    `words @@ tasks.search_query(${userId}, ${q}, '${places}', '${joint}', ${whole})`;
  return `(CASE
    WHEN ${found("A", "&", true)} THEN 6   -- all words, whole but for their endings, in the title
    WHEN ${found("A", "&", false)} THEN 5  -- all words in the title
    WHEN ${found("AB", "&", false)} THEN 4 -- all words in title and tags
    WHEN ${found("A", "|", false)} THEN 3  -- some word in the title
    WHEN ${found("B", "|", false)} THEN 2  -- some word in a tag
    ELSE 1 END)`;
};
