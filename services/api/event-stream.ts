import type { ServerResponse } from "node:http";
import { isProblem } from "../../lib/errors.ts";
import { type Change, eventOf, HEARTBEAT, opening, STREAM_HEADERS } from "./event-format.ts";
import { oneAtATime } from "./one-at-a-time.ts";

/** Changes that are asked for at once, at the most. */
const PAGE = 50;
/** Milliseconds until what failed is tried again, the first time; after that, the heartbeat does. */
const RETRY = 2_000;
/** Milliseconds. Clients of a gateway that stops come back spread over this time. */
const RECONNECT_AFTER = { least: 1_000, most: 3_000 };

/** What a stream needs of the mesh. */
export interface Source {
  /** The changes after that one. @throws since_expired, insufficient_scope, or that it can't be told at present */
  read(since: number, limit: number): Promise<{ changes: Change[]; hasMore: boolean }>;
  /** Whether whoever opened the stream may still read. @throws invalid_token, or that it can't be told at present */
  verify(): Promise<void>;
}

export interface Timing {
  /** Milliseconds between comments; whatever nobody told of is looked for then. */
  heartbeat: number;
  /** Milliseconds that a reader may leave the connection full. */
  patience: number;
}

export type EventStream = ReturnType<typeof openEventStream>;

/** Failures that no waiting mends; the client is told why when it comes back. Any other is an outage. */
const isFinal = (error: unknown): boolean =>
  (["invalid_token", "insufficient_scope", "forbidden", "since_expired"] as const).some((code) =>
    isProblem(error, code),
  );

/**
 * Writes the changes after `position` to a response, as they come. Nothing is queued here: the log is the queue, and
 * `position` the place in it. What a reader does not take is not asked for, or dropped and asked for again.
 */
export function openEventStream(response: ServerResponse, position: number, source: Source, timing: Timing) {
  let page = PAGE;
  let impatience: NodeJS.Timeout | undefined;
  const isOver = (): boolean => response.writableEnded || response.destroyed;

  function beImpatient(): void {
    impatience ??= setTimeout(() => response.destroy(), timing.patience);
  }

  function write(text: string): boolean {
    const taken = response.write(text);
    if (!taken) beImpatient();
    return taken;
  }

  /** Writes until the connection is full. Returns how many changes it took. */
  function writeAll(changes: Change[]): number {
    let written = 0;
    for (const change of changes) {
      position = change.seq;
      written++;
      if (!write(eventOf(change))) break;
    }
    return written;
  }

  function attempt(work: () => Promise<void>): () => void {
    let failures = 0;
    const run = oneAtATime(async () => {
      if (isOver()) return;
      try {
        await work();
        failures = 0;
      } catch (error) {
        if (isFinal(error)) end();
        else if (failures++ === 0) setTimeout(run, RETRY).unref();
      }
    });
    return run;
  }

  const verify = attempt(source.verify);

  const pull = attempt(async () => {
    for (let more = true; more && !isOver() && !response.writableNeedDrain; ) {
      const { changes, hasMore } = await source.read(position, page);
      if (isOver()) return;
      const written = writeAll(changes);
      // Asks for as much as goes through: a slow reader's changes are not read many times over.
      page = response.writableNeedDrain ? Math.max(1, written) : Math.min(PAGE, page * 2);
      more = hasMore || written < changes.length;
    }
  });

  function check(): void {
    verify();
    pull();
  }

  function end(): void {
    if (isOver()) return;
    // Who reads nothing would not read the end either.
    if (response.writableNeedDrain) response.destroy();
    else {
      response.end();
      beImpatient();
    }
  }

  const heartbeat = setInterval(() => {
    // Its reader may take a while to take the end.
    if (isOver()) return;
    if (!response.writableNeedDrain) write(HEARTBEAT);
    check();
  }, timing.heartbeat);

  response.on("drain", () => {
    clearTimeout(impatience);
    impatience = undefined;
    pull();
  });
  response.once("close", () => {
    clearInterval(heartbeat);
    clearTimeout(impatience);
  });

  // When the stream ends, so does its connection: a gateway that stops has none to wait for.
  response.shouldKeepAlive = false;
  response.writeHead(200, STREAM_HEADERS);
  const { least, most } = RECONNECT_AFTER;
  write(opening(position, Math.round(least + Math.random() * (most - least))));
  // What changed while the stream was being opened, its session's end too, was told to nobody.
  check();

  return {
    /** Looks for changes. */
    pull,
    /** Ends the stream when whoever opened it may not read any more. */
    verify,
    /** Both. */
    check,
    end,
  };
}
