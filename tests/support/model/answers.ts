import type { Changes } from "../../../services/tasks/changes.schema.ts";
import type { Answer } from "../client.ts";
import type { Moment } from "./moments.ts";
import { commit, current, type Done, type ModelTask, type Refusal } from "./rules.ts";
import { type Actor, assertTask, send, takeId, type World } from "./world.ts";

/** What is wrong, as a problem document says it. */
export function assertProblem(answer: Pick<Answer, "status" | "body">, refusal: Refusal, at = ""): void {
  const { status, code, currentVersion, errors, detail } = Object(answer.body);
  expect([answer.status, status, code]).toEqual([refusal.status, refusal.status, refusal.code]);
  expect(currentVersion).toBe(refusal.currentVersion);
  // Of what is missing and of what is another's, the same is said.
  if (code === "not_found") expect(detail).toBe("There is nothing here, or it is not yours.");
  const named = (errors ?? []).map(
    ({ pointer, parameter }: { pointer?: string; parameter?: string }) =>
      parameter ?? pointer?.slice(at.length).split("/")[1],
  );
  expect([...new Set(named)].sort()).toEqual([...(refusal.fields ?? [])].sort());
}

/** The ETag is the version, of the task as it is now or of what a write met. */
export function assertTag({ headers }: Answer, version: number | undefined): void {
  expect(headers.get("etag")).toBe(version === undefined ? null : `"${version}"`);
}

/** What a write answers: the task as it left it. A new task gets its id from the answer. */
export function assertDone(world: World, actor: Actor, { task, next, status }: Done, shown: unknown): void {
  if (status === 204) {
    expect(shown).toBe("");
    return;
  }
  if (next?.op === "create") task.id = takeId(Object(shown), world);
  assertTask(shown, task, next ?? current(task), actor.model);
}

/**
 * Makes what was accepted happen in the model. In what order the changes of one request are in the log, the log is
 * asked: it may be any.
 */
export async function commitAll(world: World, actor: Actor, done: Done[], now: () => Moment): Promise<void> {
  const { model } = actor;
  const before = model.log.length;
  for (const each of done) {
    commit(model, each, now());
    if (each.next) for (const walk of actor.walks) walk.moved.add(each.task.id);
  }
  const written = model.log.splice(before);
  if (written.length < 2) {
    model.log.push(...written);
    return;
  }
  const { answer } = await send(world, actor, {
    method: "GET",
    path: `/changes?since=${before}&limit=1000`,
    headers: {},
  });
  const { changes }: Changes = Object(answer.body);
  const place = ({ id }: ModelTask): number => changes.findIndex(({ taskId }) => taskId === id);
  expect(changes.map(({ taskId }) => taskId).sort()).toEqual(written.map(({ task }) => task.id).sort());
  model.log.push(...written.sort((a, b) => place(a.task) - place(b.task)));
}
