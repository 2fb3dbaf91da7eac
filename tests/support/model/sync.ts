import type { Change, Changes } from "../../../services/tasks/changes.schema.ts";
import { assertProblem } from "./answers.ts";
import { assertMoment } from "./moments.ts";
import type { Action } from "./operations.ts";
import { current, find, type ModelPerson, placeOf } from "./rules.ts";
import { applyChanges, changesPath, newSyncClient } from "./sync-client.ts";
import { type Actor, assertTask, send, type World } from "./world.ts";

type Sync = Extract<Action, { do: "sync" }>;

/** Some pages, until there are no more; and then what happens to a client. */
export async function syncSome(
  world: World,
  actor: Actor,
  { limit, pages, afterwards }: Omit<Sync, "do">,
): Promise<void> {
  for (let page = 1; page <= pages; page += 1) {
    const more = await syncPage(world, actor, limit, afterwards !== "lose the place" || page < pages);
    if (!more) break;
  }
  if (afterwards !== "lose everything") return;
  actor.sync = newSyncClient();
  actor.snapshot = null;
}

/** Until nothing is left; then the copy is what the person has. */
export async function syncAll(world: World, actor: Actor, limit: number): Promise<void> {
  while (await syncPage(world, actor, limit, true));
}

/** One page, held against the model. @returns whether there are more */
async function syncPage(world: World, actor: Actor, limit: number, keepPlace: boolean): Promise<boolean> {
  const { model, sync } = actor;
  const { answer } = await send(world, actor, { method: "GET", path: changesPath(sync, limit), headers: {} });
  expect(answer.status).toBe(200);
  const page: Changes = Object(answer.body);
  if (typeof sync.since === "number") {
    assertChanges(model, page, sync.since, limit);
  } else {
    if (sync.since === undefined) actor.snapshot = { upTo: model.log.length, came: new Set() };
    const came = new Set(actor.snapshot?.came);
    assertSnapshot(model, page, { upTo: actor.snapshot?.upTo ?? 0, came }, limit);
    if (keepPlace && actor.snapshot) actor.snapshot.came = came;
  }
  applyChanges(sync, page, keepPlace);
  return page.hasMore;
}

/** The changes after that one, as the log has them: every one, once, in its order. */
function assertChanges(model: ModelPerson, page: Changes, since: number, limit: number): void {
  const wanted = model.log.slice(since, since + limit);
  expect(page.changes.map(({ seq }) => seq)).toEqual(wanted.map((_, index) => since + index + 1));
  for (const change of page.changes) assertChange(model, change);
  expect(page.nextSince).toBe(since + wanted.length);
  expect(page.hasMore).toBe(model.log.length > since + wanted.length);
}

/** Tasks as they are; those that were written since the snapshot began may be left for later, others not. */
function assertSnapshot(
  model: ModelPerson,
  { changes, nextSince, hasMore }: Changes,
  { upTo, came }: { upTo: number; came: Set<string> },
  limit: number,
): void {
  expect(changes.length).toBeLessThanOrEqual(limit);
  for (const change of changes) {
    assertChange(model, change);
    const last = model.log.findLastIndex(({ task }) => task.id === change.taskId) + 1;
    expect([change.seq, came.has(change.taskId)]).toEqual([last, false]);
    expect(change.task).not.toBeNull();
    came.add(change.taskId);
  }
  if (typeof nextSince === "string") {
    expect(hasMore).toBe(true);
    return;
  }
  expect([nextSince, hasMore]).toEqual([upTo, model.log.length > upTo]);
  const untouched = model.log
    .slice(0, upTo)
    .filter(({ task, version }) => version === current(task) && placeOf(task) === "list");
  const missing = untouched.filter(({ task }) => !came.has(task.id));
  expect(missing.map(({ task }) => task.id)).toEqual([]);
}

/** What was erased, or deleted by this change, has no content. */
function assertChange(model: ModelPerson, { seq, op, taskId, version, at, task: shown }: Change): void {
  const { task, version: made } = model.log[seq - 1] ?? {};
  if (!task || !made) throw new Error(`there is no change ${seq}`);
  expect([op, taskId, version]).toEqual([made.op, task.id, made.version]);
  assertMoment(at, made.at, "at");
  if (placeOf(task) === "nowhere" || made.op === "delete") expect(shown).toBeNull();
  else assertTask(shown, task, made, model);
}

/** A place that the log has not reached, and one that is none. */
export async function syncFromNowhere(world: World, actor: Actor): Promise<void> {
  const ask = (since: string) =>
    send(world, actor, { method: "GET", path: `/changes?since=${since}`, headers: {} });
  const { answer: future } = await ask(String(actor.model.log.length + 1));
  assertProblem(future, { status: 410, code: "since_expired" });
  const { answer: nonsense } = await ask("yesterday");
  expect([nonsense.status, Object(nonsense.body).code]).toEqual([422, "validation_failed"]);
}

/** The copy of a client that is up to date: every task of the list, as the list has it. */
export function assertCopy({ model, sync }: Actor, listed: { id: string }[]): void {
  expect([...sync.copy.keys()].sort()).toEqual(listed.map(({ id }) => id).sort());
  for (const task of listed) {
    expect(sync.copy.get(task.id)).toEqual(task);
    expect(find(model, task.id)).toBeDefined();
  }
}
