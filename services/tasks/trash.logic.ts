import { problem } from "../../lib/errors.ts";
import type { Cursors } from "./cursors.logic.ts";
import type { Idempotency, Request } from "./idempotency.logic.ts";
import { toTaskView } from "./task-view.logic.ts";
import type { TaskQueries, TaskRow } from "./tasks.repository.ts";
import type { TrashedTask, TrashPage } from "./trash.schema.ts";
import type { Turns } from "./turns.logic.ts";
import type { Announcement } from "./writes.logic.ts";

/** Tasks that are erased in one statement. */
const BATCH = 1_000;
/** Milliseconds by which nodes' clocks may differ: what was deleted before must not stay. */
const SKEW = 1_000;

interface TrashOptions {
  tasks: Pick<TaskQueries, "listTrash" | "eraseTrash">;
  cursors: () => Cursors;
  idempotency: Pick<Idempotency, "atomically">;
  announce: (announcement: Announcement) => void;
  clock: () => number;
  /** This person's turn to write. */
  inTurn: Turns["inTurn"];
}

/** What is in the trash, and what becomes of it. */
export function createTrashLogic({ tasks, cursors, idempotency, announce, clock, inTurn }: TrashOptions) {
  return {
    /** @throws invalid_cursor */
    async list(
      { userId }: { userId: string },
      { limit, cursor }: { limit: number; cursor?: string },
    ): Promise<TrashPage> {
      const list = `${userId} trash`;
      const position = cursor === undefined ? null : cursors().read(cursor, list);
      if (cursor !== undefined && position === null) {
        throw problem("invalid_cursor", "The cursor was not made for this list.");
      }
      const [deletedAt, id] = position ?? [];
      const after = position && { deletedAt: String(deletedAt), id: String(id) };
      const rows = await tasks.listTrash(userId, { after, limit: limit + 1 });
      const items = rows.slice(0, limit).map(toTrashView);
      const last = items.at(-1);
      const nextCursor =
        rows.length > limit && last ? cursors().write([last.deletedAt, last.id], list) : null;
      return { items, nextCursor };
    },

    /**
     * Everything for good, in parts: what is interrupted is gone on with by asking again. Each part is a turn of its own, so
     * that this person's other writes need not wait for all. A repetition takes what was there when it was first asked, and
     * nothing that came since.
     *
     * @throws too_many_requests, idempotency_in_flight, idempotency_key_reused
     */
    async empty(request: Request): Promise<null> {
      const { userId } = request;
      const { before } = await inTurn(userId, () =>
        idempotency.atomically(request, async () => ({ before: clock() + SKEW })),
      );
      let erased: { id: string; version: number }[];
      do {
        erased = await inTurn(userId, () =>
          tasks.eraseTrash({ userId, before: new Date(before), limit: BATCH }),
        );
        if (erased.length > 0) announce({ userId, event: "erased", tasks: erased });
      } while (erased.length === BATCH);
      return null;
    },
  };
}

const toTrashView = (row: TaskRow): TrashedTask => ({
  ...toTaskView(row),
  deletedAt: row.deletedAt?.toISOString() ?? "",
});
