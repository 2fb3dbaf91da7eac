import { createCursors } from "./cursors.logic.ts";
import { createTrashLogic } from "./trash.logic.ts";
import type { Announcement } from "./writes.logic.ts";

describe("emptying the trash", () => {
  it("takes a turn for each part of it, and tells of each", async () => {
    const parts = [1_000, 1_000, 3];
    const turns: string[] = [];
    const announced: Announcement[] = [];
    const trash = createTrashLogic({
      tasks: {
        listTrash: async () => [],
        eraseTrash: async ({ userId }) =>
          Array.from({ length: parts.shift() ?? 0 }, (_, n) => ({
            userId: String(userId),
            id: `${n}`,
            version: 2,
          })),
      },
      cursors: () => createCursors(Buffer.alloc(32)),
      idempotency: { atomically: (_request, work) => work(Object.create(null)) },
      clock: () => 0,
      announce: (each) => announced.push(each),
      inTurn: async (userId, work) => {
        turns.push(userId);
        return work((theirs) => theirs());
      },
    });
    await trash.empty({ userId: "ada", action: "tasks.emptyTrash", params: {}, onReplay: () => {} });
    expect(turns).toEqual(["ada", "ada", "ada", "ada"]);
    expect(announced.map(({ event, tasks }) => [event, tasks.length])).toEqual([
      ["erased", 1_000],
      ["erased", 1_000],
      ["erased", 3],
    ]);
  });
});
