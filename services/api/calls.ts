import { setTimeout as delay } from "node:timers/promises";
import { Errors, type ServiceBroker } from "moleculer";
import { isProblem, unavailable } from "../../lib/errors.ts";

/** Milliseconds for all calls of one request: what the client is promised is an answer within five seconds. */
const DEADLINE = 4_500;
/** Milliseconds for the first try of what may be done twice. A second one has all the rest. */
const FIRST_TRY = 1_500;
/** Milliseconds to wait for a node when there is none: as long as a connection takes to come back. */
const PATIENCE = 2_000;
/** Milliseconds between tries, where another node would not be asked at once. */
const PAUSE = 100;

/**
 * Whether a call that may have had an effect is made again. `always`: doing it twice is as doing it once, and it is not begun
 * when its time is over (`assertAwaited`). `if gone`: only when its node is gone, and can't be at it still: done late it would
 * undo what came between, or is too much work to be done twice.
 */
export type Again = "always" | "if gone" | "never";

export interface Call {
  action: string;
  params: object;
  meta: object;
  again: Again;
}

/** What a request's calls go through. */
interface Bus {
  call<T>(action: string, params: object, options: object): Promise<T>;
  /** Ids of the nodes that have an action. */
  nodesOf(action: string): string[];
  /** Milliseconds, from anywhere, on a clock that is never set. */
  now(): number;
  wait(ms: number): Promise<unknown>;
}

type Registry = Pick<ServiceBroker, "registry">;

/** Ids of the nodes that have an action. */
export function nodesOf({ registry }: Registry, action: string): string[] {
  const { endpoints = [] } = registry.getActionEndpoints(action) ?? {};
  return endpoints.filter(({ isAvailable }) => isAvailable).map(({ id }) => id);
}

/** @param call with whatever belongs to each call, such as a request's id */
export const busOf = (broker: Registry, call: Bus["call"]): Bus => ({
  call,
  nodesOf: (action) => nodesOf(broker, action),
  now: () => performance.now(),
  wait: delay,
});

/** The call certainly had no effect. */
const NOT_DONE = ["SERVICE_NOT_FOUND", "SERVICE_NOT_AVAILABLE", "BAD_GATEWAY", "QUEUE_FULL"];
/** It may have had one, or will. */
const SILENT = ["REQUEST_TIMEOUT"];
/** It may have had one; its node is gone. */
const GONE = ["REQUEST_REJECTED"];
/** A node's own trouble, which another may not have: a database connection that was cut, a clock that is wrong. */
const ONCE_MORE = ["unavailable", "invalid_passport"];

interface Failure {
  /** `answered`: that is the answer, whatever it is; `once more`: unless another node says otherwise. */
  kind: "answered" | "not done" | "silent" | "gone" | "once more";
  nodeID?: string;
}

function readFailure(error: unknown, action: string): Failure {
  if (!(error instanceof Errors.MoleculerError)) return { kind: "answered" };
  // Moleculer's errors name the node in their data, those that came from it in a field of their own.
  const { action: failed = action, nodeID = Object(error).nodeID } = Object(error.data);
  const node = typeof nodeID === "string" ? { nodeID } : {};
  // What the action called itself failed.
  if (failed !== action) return { kind: "answered" };
  if (ONCE_MORE.includes(error.type)) return { kind: "once more", ...node };
  if (NOT_DONE.includes(error.type)) return { kind: "not done", ...node };
  if (GONE.includes(error.type)) return { kind: "gone", ...node };
  return { kind: SILENT.includes(error.type) ? "silent" : "answered", ...node };
}

/**
 * The calls of one request, within its deadline. One that a node did not take, or did not answer, is given to another:
 * always when it had no effect, otherwise when it may be done twice. Moleculer's own retries would turn failures into
 * 404 and know no deadline.
 */
export function createCalls({ call, nodesOf, now, wait }: Bus) {
  let startedAt = now();
  const passed = (): number => now() - startedAt;

  /** What takes as long as the client does, such as reading what it sends: no part of the deadline. */
  async function notCounting<T>(work: () => Promise<T>): Promise<T> {
    const beganAt = now();
    const result = await work();
    startedAt += now() - beganAt;
    return result;
  }

  async function callWithin<T>({ action, params, meta, again }: Call): Promise<T> {
    const tried = new Set<string>();
    /** A node that has not been tried, when others have. Without one, Moleculer chooses. */
    const another = (): string | undefined =>
      tried.size === 0 ? undefined : nodesOf(action).find((id) => !tried.has(id));

    for (let tries = 1; ; tries++) {
      // A call to nobody would fail at once, and be counted, as often as it is made.
      while (passed() < PATIENCE && nodesOf(action).length === 0) await wait(PAUSE);
      const left = Math.max(1, DEADLINE - passed());
      const timeout = again === "always" && tries === 1 ? Math.min(FIRST_TRY, left) : left;
      const nodeID = another();
      try {
        return await call(action, params, { meta, timeout, ...(nodeID === undefined ? {} : { nodeID }) });
      } catch (error) {
        const failure = readFailure(error, action);
        // Another try of this very request is at it.
        const overtook = isProblem(error, "idempotency_in_flight") && (tries > 1 || "operationId" in meta);
        const worthwhile =
          overtook ||
          (failure.kind === "silent" && again === "always") ||
          (failure.kind === "gone" && again !== "never") ||
          (failure.kind === "once more" && again !== "never" && tries === 1) ||
          (failure.kind === "not done" && passed() < PATIENCE);
        if (!worthwhile || passed() + PAUSE >= DEADLINE) {
          // Who sent no key is not told of one.
          throw overtook && "operationId" in meta ? unavailable() : error;
        }
        // A node that knows of another try will know when it is done, whereas the one that is at it may stand still.
        if (failure.nodeID !== undefined && !overtook) tried.add(failure.nodeID);
        // At once only from one node to the next: whatever else failed would fail again.
        if (failure.nodeID === undefined || overtook || another() === undefined) await wait(PAUSE);
      }
    }
  }

  return { call: callWithin, notCounting };
}
