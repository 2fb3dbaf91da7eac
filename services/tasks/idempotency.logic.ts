import { createHash } from "node:crypto";
import { problem } from "../../lib/errors.ts";
import type { TaskQueries, TaskRepository } from "./tasks.repository.ts";
import { type Announcement, createTaskWrites, type TaskWrites } from "./writes.logic.ts";

/** Keys are forgotten after a day. */
export const KEEP_ANSWERS_MS = 24 * 3_600_000;

/** A write as it came in. */
export interface Request {
  userId: string;
  action: string;
  /** What it asks for; with the same key, it has to be the same. */
  params: unknown;
  /** Chosen by the client, who may repeat the request with it. */
  idempotencyKey?: string | undefined;
  /** Given by the gateway, for what repeats a request without the client's knowing. */
  operationId?: string | undefined;
  /** Told when the answer is that of the first time. */
  onReplay: () => void;
}

/** What a request may use, all in one transaction. */
export interface Work {
  writes: TaskWrites;
  tasks: TaskQueries;
  /** Told when the transaction is committed. */
  announce: (announcement: Announcement) => void;
}

interface IdempotencyOptions {
  tasks: TaskRepository;
  announce: (announcement: Announcement) => void;
  clock: () => number;
}

/** Objects with their keys in order, so that the same request is the same text. */
const canonical = (value: unknown): string =>
  JSON.stringify(value, (_key, each: unknown) =>
    typeof each === "object" && each !== null && !Array.isArray(each)
      ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1)))
      : each,
  );

const fingerprintOf = ({ action, params }: Request): Buffer =>
  createHash("sha256")
    .update(`${action} ${canonical(params)}`)
    .digest();

/** The writes of a request are done once, however often it comes. */
export function createIdempotency({ tasks, announce, clock }: IdempotencyOptions) {
  /**
   * In one transaction with its answer, so that there is no moment when one is there without the other.
   *
   * @throws idempotency_in_flight, idempotency_key_reused
   */
  async function atomically<T>(
    request: Request,
    work: (work: Work) => Promise<T>,
    keep: (answer: T) => boolean = () => true,
  ): Promise<T> {
    const announcements: Announcement[] = [];
    const { userId, idempotencyKey, operationId } = request;
    // No client can send a key with a space in it.
    const key = idempotencyKey ?? (operationId === undefined ? undefined : `operation ${operationId}`);
    const fingerprint = fingerprintOf(request);
    const now = new Date(clock());
    const answer = await tasks.atomically(async (bound) => {
      if (key !== undefined) {
        if (!(await bound.lockKey(userId, key)))
          throw problem("idempotency_in_flight", "The first request with this key is still running.");
        const stored = await bound.findAnswer<T>(userId, key, new Date(now.getTime() - KEEP_ANSWERS_MS));
        if (stored) return replay(stored, request, fingerprint);
      }
      const collect = (each: Announcement): void => void announcements.push(each);
      const writes = createTaskWrites({ tasks: bound, operation: null, announce: collect, clock });
      const result = await work({ writes, tasks: bound, announce: collect });
      if (key !== undefined && keep(result))
        await bound.saveAnswer(userId, key, { request: fingerprint, answer: result }, now);
      return result;
    }, keep);
    if (keep(answer)) for (const each of announcements) announce(each);
    return answer;
  }

  return {
    atomically,

    /** A write to one task: the log itself tells a repetition, unless the client has a key of its own. */
    once<T>(request: Request, work: (writes: TaskWrites) => Promise<T>): Promise<T> {
      if (request.idempotencyKey !== undefined) return atomically(request, ({ writes }) => work(writes));
      return work(createTaskWrites({ tasks, operation: request.operationId ?? null, announce, clock }));
    },
  };
}

export type Idempotency = ReturnType<typeof createIdempotency>;

function replay<T>(stored: { request: Buffer; answer: T }, { onReplay }: Request, fingerprint: Buffer): T {
  if (!stored.request.equals(fingerprint)) {
    throw problem("idempotency_key_reused", "This key was used for another request.");
  }
  onReplay();
  return stored.answer;
}
