import { randomUUID } from "node:crypto";
import type { Tags, Target } from "./operations.ts";
import { current, type ModelTask, placeOf } from "./rules.ts";
import type { Actor } from "./world.ts";

/** What an operation is aimed at. */
export interface Found {
  id: string;
  /** The version that it has, of whoever's it is; 1 when there is none. */
  version: number;
}

export function findTarget({ model }: Actor, { model: theirs }: Actor, { where, index }: Target): Found {
  const isAt = (place: string) => (task: ModelTask) => placeOf(task) === place;
  const listed = model.tasks.filter(isAt("list"));
  const trashed = model.tasks.filter(isAt("trash"));
  const among = {
    list: listed,
    // Most of the time there is something to be found.
    trash: trashed.length > 0 ? trashed : listed,
    erased: model.tasks.filter(isAt("nowhere")),
    theirs: theirs.tasks,
    "nobody's": [],
    nonsense: [],
  }[where];
  const task = among[index % Math.max(1, among.length)];
  if (task) return { id: task.id, version: current(task).version };
  return { id: where === "nonsense" ? "17" : randomUUID(), version: 1 };
}

/** A header of entity tags, or none. */
export function tagHeader(name: string, tags: Tags, version: number): Record<string, string> {
  if (tags === null) return {};
  const texts = {
    current: `"${version}"`,
    stale: `"${version - 1}"`,
    either: `"999", "${version}"`,
    any: "*",
    weak: `W/"${version}"`,
    malformed: String(version),
  };
  return { [name]: texts[tags] };
}

export const isMalformed = (header: string | undefined): boolean =>
  header !== undefined && /^\d+$/.test(header);
