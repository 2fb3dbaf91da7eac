import type { IncomingMessage } from "node:http";
import { problem } from "../../lib/errors.ts";

// Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html), as far as they carry changes.

/** A change of the log, as `tasks.changes` answers with it; what else it has is passed on as it is. */
export interface Change {
  seq: number;
  op: string;
}

/** By what was done; an erased task is gone like a deleted one. */
const EVENTS: Record<string, string> = {
  create: "task.created",
  update: "task.updated",
  delete: "task.deleted",
  restore: "task.restored",
  erase: "task.deleted",
};

/** What a sequence number looks like. */
const SEQ = /^\d{1,15}$/;

/** Nothing on the way may keep or change a stream: not the browser, no proxy, and not nginx, which buffers by default. */
export const STREAM_HEADERS = {
  "Content-Type": "text/event-stream; charset=utf-8",
  "Cache-Control": "no-store, no-transform",
  "X-Accel-Buffering": "no",
};

/**
 * What a stream begins with: when to come back, and from where. A client that is cut off before the first change has
 * an id to resume with all the same.
 *
 * @param reconnectAfter milliseconds
 */
export const opening = (position: number, reconnectAfter: number): string =>
  `retry: ${reconnectAfter}\nid: ${position}\n\n`;

export const eventOf = (change: Change): string =>
  `id: ${change.seq}\nevent: ${EVENTS[change.op] ?? "task.updated"}\ndata: ${JSON.stringify(change)}\n\n`;

/** A comment: clients pass over it, proxies see that the stream is alive. */
export const HEARTBEAT = ":\n\n";

/**
 * Where a client that was cut off goes on: instead of `since`, which may be in the address it opened first.
 *
 * @throws invalid_request
 */
export function readLastEventId(request: IncomingMessage): { since?: number } {
  const sent = request.headersDistinct["last-event-id"];
  if (sent === undefined) return {};
  const [id = ""] = sent;
  if (sent.length > 1 || !SEQ.test(id)) {
    throw problem("invalid_request", "Last-Event-ID must be the id of an event of this stream: a number.");
  }
  return { since: Number(id) };
}
