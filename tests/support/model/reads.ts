import type { History, TaskVersion } from "../../../services/tasks/changes.schema.ts";
import type { TrashedTask, TrashPage } from "../../../services/tasks/trash.schema.ts";
import { assertProblem, assertTag } from "./answers.ts";
import { emptyRanges } from "./lists.ts";
import { assertMoment, exact } from "./moments.ts";
import type { Action } from "./operations.ts";
import { changedFields, current, find, NOT_FOUND, placeOf } from "./rules.ts";
import { findTarget, isMalformed, tagHeader } from "./targets.ts";
import { beginWalk, listPath, takePage } from "./walks.ts";
import { type Actor, assertTask, send, type World } from "./world.ts";

type Of<D extends Action["do"]> = Extract<Action, { do: D }>;

const get = (path: string, headers: Record<string, string> = {}) => ({ method: "GET", path, headers });

/** One task, or 304 for who has this version already. If-None-Match compares weakly. */
export async function readOne(
  world: World,
  actor: Actor,
  other: Actor,
  { target, ifNoneMatch }: Of<"read">,
): Promise<void> {
  const { id, version } = findTarget(actor, other, target);
  const headers = tagHeader("If-None-Match", ifNoneMatch, version);
  const { answer } = await send(world, actor, get(`/tasks/${id}`, headers));
  const task = find(actor.model, id);
  if (!task || placeOf(task) !== "list") return assertProblem(answer, NOT_FOUND);
  if (isMalformed(headers["If-None-Match"]))
    return assertProblem(answer, { status: 400, code: "invalid_request" });
  const fresh = ifNoneMatch !== null && ifNoneMatch !== "stale";
  expect(answer.status).toBe(fresh ? 304 : 200);
  assertTag(answer, version);
  if (!fresh) assertTask(answer.body, task, current(task), actor.model);
}

/** Every version, the newest first, in pages; of a task in the trash as well. */
export async function readHistory(
  world: World,
  actor: Actor,
  other: Actor,
  { target, limit }: Of<"history">,
): Promise<void> {
  const { id } = findTarget(actor, other, target);
  const task = find(actor.model, id);
  const items: TaskVersion[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const { answer } = await send(
      world,
      actor,
      get(`/tasks/${id}/history?limit=${limit}${cursor && `&cursor=${cursor}`}`),
    );
    if (!task || placeOf(task) === "nowhere") return assertProblem(answer, NOT_FOUND);
    expect(answer.status).toBe(200);
    const page: History = Object(answer.body);
    if (page.nextCursor !== null) expect(page.items).toHaveLength(limit);
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  if (!task) return;
  const versions = task.versions.toReversed();
  expect(items.map(({ version, op }) => [version, op])).toEqual(
    versions.map(({ version, op }) => [version, op]),
  );
  for (const [index, version] of versions.entries()) {
    const { at, task: shown, changed } = items[index] ?? {};
    const before = versions[index + 1];
    assertMoment(at, version.at, "at");
    const { op: _op, ...content } = version;
    assertTask(shown, task, { ...content, op: version.op }, actor.model);
    expect([...(changed ?? ["?"])].sort()).toEqual(before ? changedFields(before, version).sort() : []);
  }
}

export async function readList(
  world: World,
  actor: Actor,
  { query: filter, limit, bound }: Of<"list">,
): Promise<void> {
  const time = bound && boundOf(actor, bound, limit);
  const query = { ...filter, ...(time ? { [bound]: time } : {}) };
  const { answer, sentAt } = await send(world, actor, get(listPath({ query, limit })));
  const empty = emptyRanges(query, actor.model);
  if (empty.length > 0) {
    return assertProblem(answer, { status: 422, code: "validation_failed", fields: empty });
  }
  expect(answer.status).toBe(200);
  takePage(actor, beginWalk(actor, query, limit, sentAt), answer, sentAt);
}

/** A time that a task of the list has, for a filter by it: from is inclusive, to is not. */
function boundOf({ model }: Actor, name: string, index: number): string | null {
  const listed = model.tasks.filter((task) => placeOf(task) === "list");
  const task = listed[index % Math.max(1, listed.length)];
  if (!task) return null;
  const { at, completedAt } = current(task);
  const moment = name.startsWith("created") ? task.createdAt : name.startsWith("updated") ? at : completedAt;
  return moment && new Date(exact(moment)).toISOString();
}

/** A cursor is good for its person and its list, and for nothing else. */
export async function readNextPage(
  world: World,
  actor: Actor,
  other: Actor,
  { walk: index, of }: Of<"next page">,
): Promise<void> {
  const walk = actor.walks[index % Math.max(1, actor.walks.length)];
  if (!walk) return;
  const query = of === "another list" ? { ...walk.query, tag: "elsewhere" } : walk.query;
  const asking = of === "theirs" ? other : actor;
  const { answer, sentAt } = await send(world, asking, get(listPath({ ...walk, query })));
  const empty = emptyRanges(query, asking.model);
  if (empty.length > 0) {
    // Where the person is now, the dates leave nothing between them.
    actor.walks = actor.walks.filter((each) => each !== walk || of !== "it");
    return assertProblem(answer, { status: 422, code: "validation_failed", fields: empty });
  }
  if (of !== "it") return assertProblem(answer, { status: 400, code: "invalid_cursor" });
  expect(answer.status).toBe(200);
  takePage(actor, walk, answer, sentAt);
}

/** All of the trash, the last deleted first. */
export async function readTrash(world: World, actor: Actor, limit: number): Promise<void> {
  const { model } = actor;
  const items: TrashedTask[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const { answer } = await send(world, actor, get(`/trash?limit=${limit}${cursor && `&cursor=${cursor}`}`));
    expect(answer.status).toBe(200);
    const page: TrashPage = Object(answer.body);
    if (page.nextCursor !== null) expect(page.items).toHaveLength(limit);
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  const trashed = model.tasks.filter((task) => placeOf(task) === "trash");
  expect(items.map(({ id }) => id).sort()).toEqual(trashed.map(({ id }) => id).sort());
  for (const { deletedAt, ...shown } of items) {
    const task = find(model, shown.id);
    if (!task) continue;
    assertTask(shown, task, current(task), model);
    assertMoment(deletedAt, task.deletedAt, "deletedAt");
  }
  const times = items.map(({ deletedAt }) => deletedAt);
  expect(times).toEqual(times.toSorted().reverse());
}
