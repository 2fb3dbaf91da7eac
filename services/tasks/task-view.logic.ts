import { readDue, toDueView } from "./due.logic.ts";
import { PRIORITIES, type Priority, type Task, type TaskPatch } from "./task.schema.ts";
import type { RowPatch, TaskRow } from "./tasks.repository.ts";

const toPriority = (rank: number): Priority => PRIORITIES[rank] ?? "none";

export function toTaskView(row: Omit<TaskRow, "deletedAt">): Task {
  return {
    id: row.id,
    userId: row.userId,
    title: row.title,
    description: row.description,
    status: row.status,
    priority: toPriority(row.priority),
    due: toDueView(row),
    tags: row.tags,
    completedAt: row.completedAt?.toISOString() ?? null,
    version: row.version,
    createdAt: row.createdAt.toISOString(),
    updatedAt: row.updatedAt.toISOString(),
  };
}

export function toRowPatch({ due, priority, ...plain }: TaskPatch, timeZone: string): RowPatch {
  return {
    ...plain,
    ...(priority === undefined ? {} : { priority: PRIORITIES.indexOf(priority) }),
    ...(due === undefined ? {} : readDue(due, timeZone)),
  };
}
