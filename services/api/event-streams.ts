import type { ServerResponse } from "node:http";
import pLimit from "p-limit";
import { problem, unavailable } from "../../lib/errors.ts";
import type { Call } from "./calls.ts";
import type { Change } from "./event-format.ts";
import { type EventStream, openEventStream, type Source, type Timing } from "./event-stream.ts";

const TIMING: Timing = { heartbeat: 15_000, patience: 30_000 };
/** Streams at a time: of a person, and of all. */
const LIMITS = { perUser: 20, total: 10_000 };
/** Calls at a time, of each kind: after an outage all streams want something at once. */
const CALLS_AT_ONCE = 100;

interface Options {
  /** Within a deadline, and by another node when one fails. */
  call<T>(call: Call, requestID: string | undefined): Promise<T>;
  timing?: Timing;
  limits?: { perUser: number; total: number };
}

/** Whoever opened a stream, as auth said it. */
interface Reader {
  user: { id: string };
  /** Null for an API token. */
  session: { id: string } | null;
  passport: string;
}

interface Page {
  changes: Change[];
  hasMore: boolean;
}

interface Opened {
  reader: Reader;
  /** What the reader showed: it is shown again, to know whether it still holds. */
  token: string;
  /** The last change that the reader knows. */
  position: number;
  requestID?: string;
}

export type EventStreams = ReturnType<typeof createEventStreams>;

/** All streams of this gateway. What comes over the bus is a hint to look; a lost one costs a heartbeat. */
export function createEventStreams({ call, timing = TIMING, limits = LIMITS }: Options) {
  const byUser = new Map<string, Map<EventStream, Reader>>();
  const verifications = pLimit(CALLS_AT_ONCE);
  const reads = pLimit(CALLS_AT_ONCE);
  /** Reads that have not begun. One that has might be too early for who asks now. */
  const waiting = new Map<string, Promise<Page>>();
  let total = 0;
  let closed = false;

  const all = (): [EventStream, Reader][] => [...byUser.values()].flatMap((streams) => [...streams]);

  function sourceFor({ reader, token, requestID }: Opened): Source {
    let { passport } = reader;
    return {
      // A hint wakes all streams of a person, most of which are at the same place: one read is for all of them.
      read(since, limit) {
        const key = `${reader.user.id} ${since} ${limit}`;
        const own = (): Promise<Page> =>
          reads(() => {
            waiting.delete(key);
            const action = "tasks.changes";
            return call({ action, params: { since, limit }, meta: { passport }, again: "always" }, requestID);
          });
        const shared = waiting.get(key);
        // What is refused to another session or token is not refused to this one.
        if (shared) return shared.catch(own);
        const begun = own();
        waiting.set(key, begun);
        return begun;
      },
      async verify() {
        const verified = await verifications(() =>
          call<Reader>({ action: "auth.verify", params: { token }, meta: {}, again: "always" }, requestID),
        );
        passport = verified.passport;
      },
    };
  }

  return {
    /** @throws too_many_requests, unavailable */
    open(response: ServerResponse, opened: Opened): void {
      // It went away while it was asked who it is: nothing would ever tell of its end.
      if (response.destroyed) return;
      const { reader, position } = opened;
      const userId = reader.user.id;
      const streams = byUser.get(userId) ?? new Map<EventStream, Reader>();
      if (streams.size >= limits.perUser) {
        throw problem("too_many_requests", `There are ${streams.size} open streams already. Close one.`);
      }
      if (closed || total >= limits.total) throw unavailable();

      const stream = openEventStream(response, position, sourceFor(opened), timing);
      byUser.set(userId, streams.set(stream, reader));
      total++;
      response.once("close", () => {
        streams.delete(stream);
        if (streams.size === 0) byUser.delete(userId);
        total--;
      });
    },

    /** Something of this person's was written. */
    changed(userId: string): void {
      for (const stream of byUser.get(userId)?.keys() ?? []) stream.pull();
    },

    /** A session, a person or an API token may do less than a moment ago; `any`: nobody knows which. */
    revoked({ kind, id }: { kind: string; id: string }): void {
      for (const [stream, { user, session }] of all()) {
        const concerned =
          kind === "any" || user.id === id || session?.id === id || (kind === "api_token" && !session);
        if (concerned) stream.verify();
      }
    },

    /** Hints may have been lost. */
    check(): void {
      for (const [stream] of all()) stream.check();
    },

    /** Ends them all, and opens none any more. */
    close(): void {
      closed = true;
      for (const [stream] of all()) stream.end();
    },
  };
}
