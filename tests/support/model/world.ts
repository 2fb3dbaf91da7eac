import type { Task } from "../../../services/tasks/task.schema.ts";
import { type Answer, buildPerson, type Person } from "../client.ts";
import type { System } from "../system.ts";
import type { Query } from "./lists.ts";
import { assertMoment, during, type Moment } from "./moments.ts";
import { type Conditions, find, type ModelPerson, type ModelTask, type Version } from "./rules.ts";
import { newSyncClient, type SyncClient } from "./sync-client.ts";

/** One request, as it is sent. */
export interface Sent {
  method: string;
  path: string;
  body?: unknown;
  headers: Record<string, string>;
}

/** Somebody on their way through the pages of a list, while anything may be written. */
export interface Walk {
  query: Query;
  limit: number;
  cursor: string;
  /** Tasks of the list when it began. */
  began: string[];
  /** Tasks written since, which may come, or not, or twice. */
  moved: Set<string>;
  /** Tasks that came and have not moved before, in their order. */
  seen: ModelTask[];
}

/** Somebody, what the model knows of them, and what their clients hold. */
export interface Actor {
  person: Person;
  model: ModelPerson;
  sync: SyncClient;
  /** Of the snapshot that the client is reading: where the log stood when it began, and the tasks that came. */
  snapshot: { upTo: number; came: Set<string> } | null;
  walks: Walk[];
  /** Requests with a key that were done: each sends itself again. */
  keyed: (() => Promise<void>)[];
  /** Answers by their Idempotency-Key. */
  answers: Map<string, { request: string; answer: Answer }>;
}

export interface World {
  people: [Actor, Actor];
  /** Time zones that people move to. */
  zones: string[];
  /** What was answered until now: `PATCH /tasks/:id 412 precondition_failed`. */
  answers: string[];
}

const ZONES = [
  "UTC",
  "America/New_York",
  "America/Sao_Paulo",
  "Asia/Kolkata",
  "Asia/Tokyo",
  "Europe/Berlin",
  "Pacific/Auckland",
  "Pacific/Pago_Pago",
];

/** Where it is not midnight soon: what is due today must not change while a test asks for it. */
const zonesAwake = (now: number): string[] =>
  ZONES.filter((timeZone) => {
    const hour = Number(
      new Intl.DateTimeFormat("en", { timeZone, hour: "2-digit", hourCycle: "h23" }).format(now),
    );
    return hour > 0 && hour < 23;
  });

export async function buildWorld(system: System, answers: string[]): Promise<World> {
  const people = await Promise.all([buildActor(system), buildActor(system)]);
  return { people, zones: zonesAwake(Date.now()), answers };
}

async function buildActor(system: System): Promise<Actor> {
  const person = await buildPerson(system);
  const { id, timeZone } = person.user;
  const model = { userId: id, timeZone, tasks: [], log: [] };
  const own = { sync: newSyncClient(), snapshot: null, walks: [], keyed: [], answers: new Map() };
  return { person, model, ...own };
}

/** Sends a request; with its answer comes when the server must have worked on it. */
export async function send(
  world: World,
  { person }: Actor,
  { method, path, body, headers }: Sent,
): Promise<{ answer: Answer; now: () => Moment; sentAt: number }> {
  const sentAt = Date.now();
  const answer = await person.http.send(method, path, { headers, ...(body === undefined ? {} : { body }) });
  const answeredAt = Date.now();
  const { code = answer.headers.get("idempotency-replayed") === "true" ? "replayed" : "" } = Object(
    answer.body,
  );
  world.answers.push(`${method} ${templateOf(path)} ${answer.status} ${code}`.trim());
  return { answer, now: () => during(sentAt, answeredAt), sentAt };
}

const templateOf = (path: string): string => path.replace(/\?.*/, "").replace(/[0-9a-f-]{36}|\b17\b/, ":id");

/** A task of an answer is this task in this version, to the last field. @throws an error that says what is not */
export function assertTask(shown: unknown, task: ModelTask, version: Version, { userId }: ModelPerson): void {
  const { completedAt, createdAt, updatedAt, ...rest } = Object(shown);
  const { op: _op, at, completedAt: done, ...content } = version;
  expect(rest).toEqual({ ...content, id: task.id, userId });
  assertMoment(createdAt, task.createdAt, "createdAt");
  assertMoment(updatedAt, at, "updatedAt");
  assertMoment(completedAt, done, "completedAt");
}

/** The id of a new task: no other task has it. */
export function takeId({ id }: Partial<Task>, { people }: World): string {
  expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
  for (const { model } of people) expect(find(model, String(id))).toBeUndefined();
  return String(id);
}

export const conditionsOf = ({ headers }: Sent): Conditions => ({
  ifMatch: headers["If-Match"],
  ifNoneMatch: headers["If-None-Match"],
});

/** What two requests with one Idempotency-Key are compared by. */
export const requestOf = (write: unknown, sent: Sent): string =>
  JSON.stringify([sent.method, write, conditionsOf(sent)]);
