import { assertDone, assertProblem, commitAll } from "./answers.ts";
import type { Action, BulkItem } from "./operations.ts";
import { type Done, isId, judge, type Refusal, type Write, wrongFields } from "./rules.ts";
import { type Found, findTarget } from "./targets.ts";
import { type Actor, requestOf, type Sent, send, type World } from "./world.ts";
import { assertRepeated, isKnown, keyHeader, remember } from "./writes.ts";

type Bulk = Extract<Action, { do: "bulk" }>;

/** One operation as it is sent, and as the model has it; nothing where it can't be read. */
interface Item {
  sent: object;
  write: Write | null;
  /** The version that it asks for. */
  version: number | undefined;
  unreadable: Refusal | null;
}

export function performBulk(world: World, actor: Actor, other: Actor, bulk: Bulk): Promise<void> {
  const seen = new Set<string>();
  const items = bulk.items.map((item) => toItem(item, findTarget(actor, other, item.target), seen));
  const flags = Object.entries({ atomic: bulk.atomic, dryRun: bulk.dryRun }).filter(
    ([, value]) => value !== undefined,
  );
  const body = { operations: items.map(({ sent }) => sent), ...Object.fromEntries(flags) };
  const sent = { method: "POST", path: "/tasks/bulk", body, headers: keyHeader(bulk) };
  return sendBulk(world, actor, items, sent, { atomic: bulk.atomic ?? true, dryRun: bulk.dryRun ?? false });
}

function toItem({ op, fields, version: asked }: BulkItem, { id, version }: Found, seen: Set<string>): Item {
  if (op === "paint") return { sent: { op }, write: null, version: undefined, unreadable: unreadable("op") };
  if (op === "create") {
    const write: Write = { op, fields };
    return {
      sent: { op, task: fields },
      write,
      version: undefined,
      unreadable: unreadable(...taskOf(write)),
    };
  }
  const wanted = asked === null ? undefined : asked === "current" ? version : version + 1;
  const write: Write = op === "update" ? { op, id, fields } : { op, id };
  const sent = {
    op,
    id,
    ...(wanted === undefined ? {} : { version: wanted }),
    ...(op === "update" ? { task: fields } : {}),
  };
  const wrong = [...(isId(id) ? [] : ["id"]), ...taskOf(write)];
  // A task can come once: of two that can be read, the second is one too many.
  const twice = wrong.length === 0 && seen.has(id);
  if (wrong.length === 0) seen.add(id);
  return { sent, write, version: wanted, unreadable: unreadable(...wrong, ...(twice ? ["id"] : [])) };
}

const taskOf = (write: Write): string[] => (wrongFields(write).length > 0 ? ["task"] : []);

const unreadable = (...fields: string[]): Refusal | null =>
  fields.length > 0 ? { status: 422, code: "validation_failed", fields } : null;

async function sendBulk(
  world: World,
  actor: Actor,
  items: Item[],
  sent: Sent,
  { atomic, dryRun }: { atomic: boolean; dryRun: boolean },
): Promise<void> {
  const { answer, now } = await send(world, actor, sent);
  if (items.length === 0) {
    return assertProblem(answer, { status: 422, code: "validation_failed", fields: ["operations"] });
  }
  const request = requestOf(sent.body, sent);
  const verdicts = items.map(({ write, version, unreadable: wrong }): Refusal | Done => {
    if (wrong || !write) return wrong ?? NOT_APPLIED;
    const conditions = version === undefined ? {} : { ifMatch: `"${version}"` };
    return judge(actor.model, write, conditions, now);
  });
  // All or none: what can't even be read is found before anything is tried, and before the key is looked at.
  const broken = atomic && items.some((item) => item.unreadable);
  if (!broken && isKnown(actor, sent)) return assertRepeated(actor, sent, request, answer);
  expect(answer.headers.get("idempotency-replayed")).toBeNull();
  const refused = broken || (atomic && verdicts.some((verdict) => "code" in verdict));
  const expected = verdicts.map((verdict, index) => {
    if (broken) return items[index]?.unreadable ?? NOT_APPLIED;
    return refused && !("code" in verdict) ? NOT_APPLIED : verdict;
  });

  expect(answer.status).toBe(200);
  const { results } = Object(answer.body);
  expect(results).toHaveLength(items.length);
  for (const [index, verdict] of expected.entries()) {
    const { status, task, problem } = results[index];
    expect(status).toBe(verdict.status);
    if ("code" in verdict) assertProblem({ status, body: problem }, verdict, `/operations/${index}`);
    else assertDone(world, actor, verdict, task ?? "");
  }
  if (dryRun || refused) return;
  const done = expected.flatMap((verdict) => ("code" in verdict ? [] : [verdict]));
  await commitAll(world, actor, done, now);
  remember(actor, sent, request, answer, () => sendBulk(world, actor, items, sent, { atomic, dryRun }));
}

const NOT_APPLIED: Refusal = { status: 424, code: "not_applied" };
