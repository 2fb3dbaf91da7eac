import { isSame, type Moment } from "./moments.ts";

/*
 * What the API promises about writes, said a second time and as plainly as it goes: a person's tasks are their
 * versions, everything else follows from those. Nothing here is copied from the services, and nothing may be.
 */

export const STATUSES = ["open", "in_progress", "done", "cancelled"];
export const PRIORITIES = ["none", "low", "medium", "high", "urgent"];

type Fields = Record<string, unknown>;

/** What a person writes into a task. */
export interface Content {
  title: string;
  description: string;
  status: string;
  priority: string;
  due: string | null;
  tags: string[];
}

export interface Version extends Content {
  version: number;
  op: "create" | "update" | "delete" | "restore" | "erase";
  at: Moment;
  completedAt: Moment | null;
}

export interface ModelTask {
  /** Empty until an answer shows it. */
  id: string;
  createdAt: Moment;
  /** When it last went to the trash. */
  deletedAt: Moment | null;
  versions: Version[];
}

export interface ModelPerson {
  userId: string;
  timeZone: string;
  tasks: ModelTask[];
  /** Every change, in the order of its `seq`, from 1. */
  log: { task: ModelTask; version: Version }[];
}

export type Write =
  | { op: "create"; fields: Fields }
  | { op: "update"; id: string; fields: Fields }
  | { op: "delete" | "restore" | "erase"; id: string }
  | { op: "revert"; id: string; version: unknown };

/** The headers as they are sent. */
export interface Conditions {
  ifMatch?: string | undefined;
  ifNoneMatch?: string | undefined;
}

export interface Refusal {
  status: number;
  code: string;
  /** What is wrong with the input: the first steps of the pointers. */
  fields?: string[];
  currentVersion?: number;
}

/** What an accepted write leaves behind. */
export interface Done {
  status: 200 | 201 | 204;
  task: ModelTask;
  /** Null when the write changes nothing. */
  next: Version | null;
}

export const NOT_FOUND: Refusal = { status: 404, code: "not_found" };

export function current(task: ModelTask): Version {
  const version = task.versions.at(-1);
  if (!version) throw new Error("a task without a version");
  return version;
}

export const placeOf = (task: ModelTask): "list" | "trash" | "nowhere" =>
  (({ create: "list", update: "list", restore: "list", delete: "trash", erase: "nowhere" }) as const)[
    current(task).op
  ];

export const find = ({ tasks }: ModelPerson, id: string): ModelTask | undefined =>
  tasks.find((task) => task.id === id);

/** Judges a write and does nothing. */
export function judge(
  person: ModelPerson,
  write: Write,
  conditions: Conditions,
  now: () => Moment,
): Refusal | Done {
  const wrong = wrongFields(write);
  if ("id" in write && !isId(write.id)) return NOT_FOUND;
  if (wrong.length > 0) return { status: 422, code: "validation_failed", fields: wrong };
  if (write.op === "create") {
    const at = now();
    const content = { ...DEFAULTS, ...written(write.fields) };
    const first: Version = { ...content, version: 1, op: "create", at, completedAt: null };
    first.completedAt = content.status === "done" ? at : null;
    return { status: 201, task: { id: "", createdAt: at, deletedAt: null, versions: [] }, next: first };
  }

  const task = find(person, write.id);
  const place = task ? placeOf(task) : "nowhere";
  // What is in the trash is not there for who looks in the list, and the other way round. A revert finds both.
  const sought = write.op === "restore" || write.op === "erase" ? "trash" : "list";
  if (!task || place === "nowhere" || (place !== sought && write.op !== "revert")) return NOT_FOUND;
  const before = current(task);
  const then = write.op === "revert" && task.versions.find(({ version }) => version === write.version);
  if (then === undefined) return { status: 422, code: "validation_failed", fields: ["version"] };
  if (!allows(conditions, before.version)) {
    return { status: 412, code: "precondition_failed", currentVersion: before.version };
  }

  const at = now();
  const next: Version = { ...before, version: before.version + 1, at };
  switch (write.op) {
    case "update":
      Object.assign(next, written(write.fields), { op: "update" });
      next.completedAt = next.status !== "done" ? null : before.status === "done" ? before.completedAt : at;
      break;
    case "revert":
      Object.assign(next, then, {
        version: before.version + 1,
        at,
        op: place === "trash" ? "restore" : "update",
      });
      break;
    default:
      next.op = write.op;
  }
  const nothing = next.op === "update" && changedFields(before, next).length === 0;
  return {
    status: write.op === "delete" || write.op === "erase" ? 204 : 200,
    task,
    next: nothing ? null : next,
  };
}

/** Makes an accepted write happen. */
export function commit(person: ModelPerson, { task, next }: Done, deletedAt: Moment): void {
  if (next === null) return;
  if (next.op === "create") person.tasks.push(task);
  if (next.op === "delete") task.deletedAt = deletedAt;
  task.versions.push(next);
  person.log.push({ task, version: next });
}

/** Everything of the trash goes for good. */
export function judgeEmptyTrash({ tasks }: ModelPerson, now: () => Moment): Done[] {
  return tasks
    .filter((task) => placeOf(task) === "trash")
    .map((task) => {
      const before = current(task);
      return { status: 204, task, next: { ...before, op: "erase", version: before.version + 1, at: now() } };
    });
}

const CONTENT = ["title", "description", "status", "priority", "due", "tags"] as const;

/** What a history says has changed. */
export function changedFields(before: Version, after: Version): string[] {
  const changed: string[] = CONTENT.filter(
    (name) => JSON.stringify(before[name]) !== JSON.stringify(after[name]),
  );
  return isSame(before.completedAt, after.completedAt) ? changed : [...changed, "completedAt"];
}

/**
 * RFC 9110: If-Match compares strongly, so that a weak tag is never met, and If-None-Match weakly; `*` is met by whatever
 * there is.
 */
function allows({ ifMatch, ifNoneMatch }: Conditions, version: number): boolean {
  const names = (header: string): boolean =>
    header === "*" || header.split(",").some((tag) => tag.trim() === `"${version}"`);
  const strong = (header: string): string => header.replaceAll("W/", "");
  return (
    (ifMatch === undefined || names(ifMatch)) && (ifNoneMatch === undefined || !names(strong(ifNoneMatch)))
  );
}

export const isId = (text: string): boolean => /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text);

/** Whether it says something that could be done, to a task that there may be. */
export const isReadable = (write: Write): boolean =>
  wrongFields(write).length === 0 && (!("id" in write) || isId(write.id));

const DEFAULTS: Content = {
  title: "",
  description: "",
  status: "open",
  priority: "none",
  due: null,
  tags: [],
};

const isText = (value: unknown, min: number, max: number): boolean =>
  typeof value === "string" && value.trim().length >= min && value.length <= max;
const isTags = (value: unknown): boolean =>
  Array.isArray(value) &&
  value.length <= 20 &&
  value.every((tag) => isText(tag, 1, 50)) &&
  new Set(value.map((tag) => String(tag).trim())).size === value.length;

const RULES: Record<string, (value: unknown) => boolean> = {
  title: (value) => isText(value, 1, 200),
  description: (value) => isText(value, 0, 20_000),
  status: (value) => STATUSES.includes(String(value)),
  priority: (value) => PRIORITIES.includes(String(value)),
  due: (value) => value === null || (typeof value === "string" && !Number.isNaN(Date.parse(value))),
  tags: isTags,
};

/** Names of the fields that are wrong or unknown, or missing. */
export function wrongFields(write: Write): string[] {
  if (write.op === "revert")
    return Number.isInteger(write.version) && Number(write.version) > 0 ? [] : ["version"];
  if (write.op !== "create" && write.op !== "update") return [];
  const wrong = Object.entries(write.fields).flatMap(([name, value]) => (RULES[name]?.(value) ? [] : [name]));
  return write.op === "create" && !("title" in write.fields) ? [...wrong, "title"] : wrong;
}

/** Fields as they are kept: trimmed, instants in UTC. */
function written(fields: Fields): Partial<Content> {
  const kept = Object.entries(fields).map(([name, value]) => {
    if (name === "tags" && Array.isArray(value)) return [name, value.map((tag) => String(tag).trim())];
    if (typeof value !== "string") return [name, value];
    if (name === "title") return [name, value.trim()];
    return [name, name === "due" && value.includes("T") ? new Date(value).toISOString() : value];
  });
  return Object.fromEntries(kept);
}
