import type { Change, Changes, Since } from "../../../services/tasks/changes.schema.ts";
import type { Task } from "../../../services/tasks/task.schema.ts";

/** A client that keeps a copy of a person's tasks by following `/changes`, as its description tells one to. */
export interface SyncClient {
  copy: Map<string, Task>;
  /** Undefined: it begins. */
  since: Since | undefined;
}

export const newSyncClient = (): SyncClient => ({ copy: new Map(), since: undefined });

export const changesPath = ({ since }: SyncClient, limit: number): string =>
  `/changes?limit=${limit}${since === undefined ? "" : `&since=${since}`}`;

/** @param keepPlace false: what it is told next it has been told already, as after a crash */
export function applyChanges(client: SyncClient, { changes, nextSince }: Changes, keepPlace = true): void {
  if (client.since === undefined) client.copy.clear();
  for (const change of changes) applyChange(client.copy, change);
  if (keepPlace) client.since = nextSince;
}

function applyChange(copy: Map<string, Task>, { taskId, task }: Change): void {
  if (task === null) copy.delete(taskId);
  else copy.set(taskId, task);
}
