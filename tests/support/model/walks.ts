import type { TaskPage } from "../../../services/tasks/list.schema.ts";
import type { Answer } from "../client.ts";
import { belongs, compare, type Query } from "./lists.ts";
import { current, find, type ModelTask } from "./rules.ts";
import { type Actor, assertTask, type Walk } from "./world.ts";

export const listPath = ({
  query,
  limit,
  cursor,
}: Pick<Walk, "query" | "limit"> & { cursor?: string }): string =>
  `/tasks?${new URLSearchParams({ ...query, limit: String(limit), ...(cursor === undefined ? {} : { cursor }) })}`;

/** A walk that has not had its first page. @param now milliseconds */
export const beginWalk = ({ model }: Actor, query: Query, limit: number, now: number): Walk => ({
  query,
  limit,
  cursor: "",
  began: model.tasks.filter((task) => belongs(task, query, model, now)).map(({ id }) => id),
  moved: new Set(),
  seen: [],
});

/** Holds a page against the model, and goes on or ends with it. @param now milliseconds */
export function takePage(actor: Actor, walk: Walk, { body, headers }: Answer, now: number): void {
  const { model } = actor;
  const { items, nextCursor, total }: TaskPage = Object(body);
  const all = model.tasks.filter((task) => belongs(task, walk.query, model, now));
  expect(total).toBe(walk.query.count === "true" ? all.length : undefined);
  expect(items.length).toBeLessThanOrEqual(walk.limit);
  if (nextCursor !== null) {
    expect(items).toHaveLength(walk.limit);
    expect(headers.get("link")).toBe(`<${listPath({ ...walk, cursor: nextCursor })}>; rel="next"`);
  } else {
    expect(headers.get("link")).toBeNull();
  }
  const page = items.map((item) => {
    const task = find(model, item.id);
    if (!task) throw new Error(`the list has ${item.id}, which is none of the person's tasks`);
    assertTask(item, task, current(task), model);
    expect([task.id, belongs(task, walk.query, model, now)]).toEqual([task.id, true]);
    return task;
  });
  assertSorted(page, walk, actor);
  walk.seen.push(...page.filter(({ id }) => !walk.moved.has(id)));
  const unmoved = walk.seen.filter(({ id }) => !walk.moved.has(id));
  assertSorted(unmoved, walk, actor);
  expect(new Set(unmoved).size).toBe(unmoved.length);

  actor.walks = actor.walks.filter((other) => other !== walk);
  if (nextCursor !== null) {
    walk.cursor = nextCursor;
    actor.walks.push(walk);
    return;
  }
  const wanted = walk.began.filter((id) => !walk.moved.has(id)).sort();
  expect(unmoved.map(({ id }) => id).sort()).toEqual(wanted);
}

function assertSorted(tasks: ModelTask[], { query }: Walk, { model }: Actor): void {
  for (const [index, task] of tasks.entries()) {
    const before = tasks[index - 1];
    if (before && compare(before, task, query, model) > 0)
      throw new Error(`${before.id} comes before ${task.id} in the order ${query.sort}`);
  }
}
