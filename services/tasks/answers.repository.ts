import { type Run, removeOld } from "../../mixins/statements.ts";

export interface StoredAnswer<T> {
  /** SHA-256 of the request. */
  request: Buffer;
  answer: T;
}

/** Answers to requests that may be repeated, by a key that the caller chose. */
export const createAnswerQueries = (run: Run) => ({
  /** Until the end of the transaction nobody else gets this key. False when somebody has it. */
  async lockKey(userId: string, key: string): Promise<boolean> {
    const [row] = await run<{ locked: boolean }>(
      "SELECT pg_try_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 0)) AS locked",
      [userId, key],
    );
    return row?.locked === true;
  },

  async findAnswer<T>(userId: string, key: string, notBefore: Date): Promise<StoredAnswer<T> | null> {
    const [row] = await run<StoredAnswer<T>>(
      "SELECT request, answer FROM tasks.answers WHERE user_id = $1 AND key = $2 AND created_at > $3",
      [userId, key, notBefore],
    );
    return row ?? null;
  },

  async saveAnswer<T>(
    userId: string,
    key: string,
    { request, answer }: StoredAnswer<T>,
    at: Date,
  ): Promise<void> {
    await run(
      `INSERT INTO tasks.answers (user_id, key, request, answer, created_at) VALUES ($1, $2, $3, $4::json, $5)
       ON CONFLICT (user_id, key)
         DO UPDATE SET request = excluded.request, answer = excluded.answer, created_at = excluded.created_at`,
      [userId, key, request, JSON.stringify(answer), at],
    );
  },

  /** @returns how many */
  forgetAnswers: (upTo: Date, limit: number): Promise<number> =>
    removeOld(run, { table: "tasks.answers", key: "user_id, key", at: "created_at" }, upTo, limit),
});
