import type { Task } from "../../../services/tasks/task.schema.ts";
import { readHistory, readList, readNextPage, readTrash } from "./reads.ts";
import { placeOf } from "./rules.ts";
import { assertCopy, syncAll } from "./sync.ts";
import { newSyncClient } from "./sync-client.ts";
import { type Actor, send, type World } from "./world.ts";
import { performMove } from "./writes.ts";

/** At the end: all that either person can read is what the model says, and nothing of the other's. */
export async function assertEverything(world: World): Promise<void> {
  const [one, two] = world.people;
  for (const [actor, other] of [
    [one, two],
    [two, one],
  ] as const) {
    await finishWalks(world, actor, other);
    await readList(world, actor, { do: "list", query: {}, limit: 100, bound: null });
    await finishWalks(world, actor, other);
    await readDueTimes(world, actor, other);
    await readTrash(world, actor, 3);
    for (const [index] of actor.model.tasks.filter((task) => placeOf(task) === "list").entries()) {
      await readHistory(world, actor, other, { do: "history", target: { where: "list", index }, limit: 100 });
    }
    for (const [index] of actor.model.tasks.filter((task) => placeOf(task) === "trash").entries()) {
      await readHistory(world, actor, other, {
        do: "history",
        target: { where: "trash", index },
        limit: 100,
      });
    }
    await syncAll(world, actor, 7);
    assertCopy(actor, await listOf(world, actor));
    // The whole log: from 1 to its end, without a gap.
    actor.sync = { ...newSyncClient(), since: 0 };
    await syncAll(world, actor, 1_000);
    assertCopy(actor, await listOf(world, actor));
  }
}

/** All-day tasks are due by the day of where the person is: elsewhere, at another time. */
async function readDueTimes(world: World, actor: Actor, other: Actor): Promise<void> {
  await performMove(world, actor, actor.model.log.length);
  const queries = [{ due: "overdue" }, { due: "today" }, { due: "week" }, { sort: "due" }, { sort: "-due" }];
  for (const query of queries) {
    await readList(world, actor, { do: "list", query, limit: 5, bound: null });
    await finishWalks(world, actor, other);
  }
}

async function finishWalks(world: World, actor: Actor, other: Actor): Promise<void> {
  while (actor.walks.length > 0)
    await readNextPage(world, actor, other, { do: "next page", walk: 0, of: "it" });
}

async function listOf(world: World, actor: Actor): Promise<Task[]> {
  const items: Task[] = [];
  let cursor: string | null = "";
  while (cursor !== null) {
    const path = `/tasks?limit=100${cursor && `&cursor=${cursor}`}`;
    const { answer } = await send(world, actor, { method: "GET", path, headers: {} });
    const page: { items: Task[]; nextCursor: string | null } = Object(answer.body);
    items.push(...page.items);
    cursor = page.nextCursor;
  }
  return items;
}
