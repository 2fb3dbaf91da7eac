import type { Answer } from "../client.ts";
import { assertDone, assertProblem, assertTag, commitAll } from "./answers.ts";
import type { Action } from "./operations.ts";
import { current, isReadable, judge, judgeEmptyTrash, type Write } from "./rules.ts";
import { findTarget, isMalformed, tagHeader } from "./targets.ts";
import { type Actor, conditionsOf, requestOf, type Sent, send, type World } from "./world.ts";

type OneTask = Extract<Action, { do: "create" | Exclude<Write["op"], "create"> }>;

/** A write to one task. */
export function performWrite(world: World, actor: Actor, other: Actor, operation: OneTask): Promise<void> {
  const [write, sent] = requestFor(actor, other, operation);
  return sendWrite(world, actor, write, sent);
}

function requestFor(actor: Actor, other: Actor, operation: OneTask): [Write, Sent] {
  const key = keyHeader(operation);
  if (operation.do === "create") {
    const { fields } = operation;
    return [
      { op: "create", fields },
      { method: "POST", path: "/tasks", body: fields, headers: key },
    ];
  }
  const { id, version } = findTarget(actor, other, operation.target);
  const headers = {
    ...key,
    ...tagHeader("If-Match", operation.ifMatch, version),
    ...tagHeader("If-None-Match", operation.ifNoneMatch, version),
  };
  switch (operation.do) {
    case "update": {
      const { fields } = operation;
      return [
        { op: "update", id, fields },
        { method: "PATCH", path: `/tasks/${id}`, body: fields, headers },
      ];
    }
    case "revert": {
      const body = { version: version - operation.back };
      return [
        { op: "revert", id, ...body },
        { method: "POST", path: `/tasks/${id}/revert`, body, headers },
      ];
    }
    case "delete":
      return [
        { op: "delete", id },
        { method: "DELETE", path: `/tasks/${id}`, headers },
      ];
    case "erase":
      return [
        { op: "erase", id },
        { method: "DELETE", path: `/trash/${id}`, headers },
      ];
    case "restore":
      return [
        { op: "restore", id },
        { method: "POST", path: `/trash/${id}/restore`, headers },
      ];
  }
}

export const keyHeader = ({ key }: { key: number | null }): Record<string, string> =>
  key === null ? {} : { "Idempotency-Key": `key-${key}` };

async function sendWrite(world: World, actor: Actor, write: Write, sent: Sent): Promise<void> {
  const { answer, now } = await send(world, actor, sent);
  const conditions = conditionsOf(sent);
  if (isMalformed(conditions.ifMatch) || isMalformed(conditions.ifNoneMatch)) {
    return assertProblem(answer, { status: 400, code: "invalid_request" });
  }
  const request = requestOf(write, sent);
  if (isReadable(write) && isKnown(actor, sent)) return assertRepeated(actor, sent, request, answer);
  expect(answer.headers.get("idempotency-replayed")).toBeNull();

  const verdict = judge(actor.model, write, conditions, now);
  if ("code" in verdict) {
    assertTag(answer, verdict.currentVersion);
    return assertProblem(answer, verdict);
  }
  expect(answer.status).toBe(verdict.status);
  assertDone(world, actor, verdict, answer.body);
  await commitAll(world, actor, [verdict], now);
  assertTag(answer, verdict.status === 204 ? undefined : current(verdict.task).version);
  if (verdict.status === 201) expect(answer.headers.get("location")).toBe(`/tasks/${verdict.task.id}`);
  remember(actor, sent, request, answer, () => sendWrite(world, actor, write, sent));
}

/** Whether something was done with this key before. What was refused, or only tried, may be sent again with it. */
export const isKnown = ({ answers }: Actor, { headers }: Sent): boolean =>
  answers.has(headers["Idempotency-Key"] ?? "");

/** The same request has the answer of the first time, another one is refused. */
export function assertRepeated(actor: Actor, { headers }: Sent, request: string, answer: Answer): void {
  const first = actor.answers.get(headers["Idempotency-Key"] ?? "");
  if (first?.request !== request) {
    assertProblem(answer, { status: 422, code: "idempotency_key_reused" });
    return;
  }
  expect(answer.headers.get("idempotency-replayed")).toBe("true");
  expect(answer.headers.get("etag")).toBe(first.answer.headers.get("etag"));
  expect([answer.status, withoutRequestId(answer.body)]).toEqual([
    first.answer.status,
    withoutRequestId(first.answer.body),
  ]);
}

/** Each request has an id of its own, and the problems of a bulk answer tell it. */
const withoutRequestId = (body: unknown): unknown =>
  JSON.parse(JSON.stringify(body, (name, value: unknown) => (name === "requestId" ? undefined : value)));

export function remember(
  actor: Actor,
  { headers }: Sent,
  request: string,
  answer: Answer,
  again: () => Promise<void>,
): void {
  const key = headers["Idempotency-Key"];
  if (key === undefined) return;
  actor.answers.set(key, { request, answer });
  actor.keyed.push(again);
}

/** Sends a request with a key once more. */
export async function repeat({ keyed }: Actor, index: number): Promise<void> {
  await keyed[index % Math.max(1, keyed.length)]?.();
}

export async function performEmptyTrash(world: World, actor: Actor): Promise<void> {
  const { answer, now } = await send(world, actor, { method: "DELETE", path: "/trash", headers: {} });
  expect(answer.status).toBe(204);
  await commitAll(world, actor, judgeEmptyTrash(actor.model, now), now);
}

/** Somebody travels: all-day tasks are due at another time from then on, and no task has changed. */
export async function performMove(world: World, actor: Actor, zone: number): Promise<void> {
  const timeZone = world.zones[zone % world.zones.length] ?? "UTC";
  const { answer } = await send(world, actor, {
    method: "PATCH",
    path: "/auth/me",
    body: { timeZone },
    headers: {},
  });
  expect([answer.status, Object(answer.body).timeZone]).toEqual([200, timeZone]);
  actor.model.timeZone = timeZone;
  const allDay = actor.model.tasks.filter((task) => current(task).due?.includes("T") === false);
  for (const walk of actor.walks) for (const { id } of allDay) walk.moved.add(id);
}
