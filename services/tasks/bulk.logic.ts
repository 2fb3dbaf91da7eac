import { notFound, problem, validationFailed } from "../../lib/errors.ts";
import type { BulkParams, Operation, OperationProblem, OperationResult } from "./bulk.schema.ts";
import type { Idempotency, Request, Work } from "./idempotency.logic.ts";
import { toRowPatch, toTaskView } from "./task-view.logic.ts";
import type { Write, Written } from "./tasks.repository.ts";
import { type Announcement, buildRow, type Caller, preconditionFailed } from "./writes.logic.ts";

interface BulkOptions {
  idempotency: Pick<Idempotency, "atomically">;
  /** One operation, checked. @throws validation_failed */
  read: (operation: unknown) => Operation;
  /** Bytes of JSON that the answer may have. */
  maxAnswer: number;
  clock: () => number;
}

/** An operation, or why it is none. */
type Planned = { operation: Operation } | { failure: unknown };

/** Many operations at once, in a handful of statements. */
export function createBulkLogic({ idempotency, read, maxAnswer, clock }: BulkOptions) {
  /** Before it is committed: of what was done, there must be an answer. */
  function sendable<T>(answer: T): T {
    if (Buffer.byteLength(JSON.stringify(answer)) <= maxAnswer) return answer;
    const detail = "The tasks are more than an answer of 15 MiB holds: send fewer operations at a time.";
    throw validationFailed([{ path: ["operations"], code: "too_large", detail }]);
  }

  function plan(operations: unknown[]): Planned[] {
    const seen = new Set<string>();
    return operations.map((each) => {
      try {
        const operation = read(each);
        if (operation.op === "create") return { operation };
        if (seen.has(operation.id)) {
          const detail = "The task is in another operation already.";
          throw validationFailed([{ path: ["id"], code: "duplicate", detail }]);
        }
        seen.add(operation.id);
        return { operation };
      } catch (failure) {
        return { failure };
      }
    });
  }

  async function apply(
    caller: Caller,
    planned: Planned[],
    { tasks, announce }: Work,
  ): Promise<OperationResult[]> {
    const now = new Date(clock());
    const operations = planned.flatMap((each) => ("operation" in each ? [each.operation] : []));
    const writes = operations.flatMap((operation) =>
      operation.op === "create" ? [] : [toWrite(operation, caller.timeZone, now)],
    );
    // Before anything is created: rows are locked before the head of the log, here as everywhere.
    const found = (writes.length > 0 && (await tasks.write(caller.userId, writes, { now }))) || [];
    const written = new Map(found.map((row) => [row.id, row]));
    const created = operations.flatMap((operation) =>
      operation.op === "create" ? [buildRow(caller, operation.task, now)] : [],
    );
    if (created.length > 0) await tasks.insert(created);

    const tell = (event: Announcement["event"], rows: { id: string; version: number }[]): void => {
      const told = rows.map(({ id, version }) => ({ id, version }));
      if (told.length > 0) announce({ userId: caller.userId, event, tasks: told });
    };
    tell("created", created);
    tell(
      "deleted",
      found.filter(({ changed, deletedAt }) => changed && deletedAt),
    );
    tell(
      "updated",
      found.filter(({ changed, deletedAt }) => changed && !deletedAt),
    );

    const rows = created.values();
    return planned.map((each) => {
      if ("failure" in each) return failed(each.failure);
      if (each.operation.op !== "create") return resultOf(each.operation, written.get(each.operation.id));
      const { value: row } = rows.next();
      return row ? { status: 201, task: toTaskView(row) } : failed(notFound("task"));
    });
  }

  return {
    /** @throws idempotency_in_flight, idempotency_key_reused; validation_failed when the answer would be too large */
    async bulk(
      caller: Caller,
      { operations, atomic, dryRun }: BulkParams<unknown>,
      request: Request,
    ): Promise<{ results: OperationResult[] }> {
      const planned = plan(operations);
      const whole = (results: OperationResult[]): boolean =>
        !atomic || !results.some(({ problem: found }) => found);
      const unreadable = planned.map((each) => ("failure" in each ? failed(each.failure) : { status: 200 }));
      const { results } = whole(unreadable)
        ? await idempotency.atomically(
            request,
            async (work) => sendable({ results: await apply(caller, planned, work) }),
            (answer) => !dryRun && whole(answer.results),
          )
        : { results: unreadable };
      return {
        results: whole(results) ? results : results.map((each) => (each.problem ? each : notApplied)),
      };
    },
  };
}

const notApplied = failed(problem("not_applied", "Another operation could not be done, so none was."));

function toWrite(operation: Exclude<Operation, { op: "create" }>, timeZone: string, now: Date): Write {
  const { id, version } = operation;
  const patch = operation.op === "delete" ? { deletedAt: now } : toRowPatch(operation.task, timeZone);
  return { id, patch, trashed: false, ...(version === undefined ? {} : { ifMatch: [version] }) };
}

function resultOf({ op }: Operation, row: Written | undefined): OperationResult {
  if (!row) return failed(notFound("task"));
  if (!row.matches) return failed(preconditionFailed(row.version));
  return op === "delete" ? { status: 204 } : { status: 200, task: toTaskView(row) };
}

/** @throws what is no error of the caller's */
function failed(failure: unknown): OperationResult {
  if (!(failure instanceof Error && "code" in failure && "type" in failure)) throw failure;
  const status = Number(failure.code);
  const found: OperationProblem = { code: String(failure.type), status, detail: failure.message };
  if ("data" in failure && failure.data !== undefined) found.data = failure.data;
  return { status, problem: found };
}
