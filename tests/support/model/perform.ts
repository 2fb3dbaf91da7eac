import { performBulk } from "./bulk.ts";
import type { Operation } from "./operations.ts";
import { readHistory, readList, readNextPage, readOne, readTrash } from "./reads.ts";
import { syncFromNowhere, syncSome } from "./sync.ts";
import type { World } from "./world.ts";
import { performEmptyTrash, performMove, performWrite, repeat } from "./writes.ts";

/**
 * Does what somebody wants to do, and holds the answer to what the model says.
 *
 * @throws what is different
 */
export async function perform(world: World, operation: Operation): Promise<void> {
  const [one, two] = world.people;
  const [actor, other] = operation.who === 0 ? [one, two] : [two, one];
  switch (operation.do) {
    case "create":
    case "update":
    case "delete":
    case "restore":
    case "erase":
    case "revert":
      return performWrite(world, actor, other, operation);
    case "bulk":
      return performBulk(world, actor, other, operation);
    case "repeat":
      return repeat(actor, operation.index);
    case "empty trash":
      return performEmptyTrash(world, actor);
    case "move":
      return performMove(world, actor, operation.zone);
    case "read":
      return readOne(world, actor, other, operation);
    case "history":
      return readHistory(world, actor, other, operation);
    case "list":
      return readList(world, actor, operation);
    case "next page":
      return readNextPage(world, actor, other, operation);
    case "trash":
      return readTrash(world, actor, operation.limit);
    case "sync":
      return syncSome(world, actor, operation);
    case "sync from nowhere":
      return syncFromNowhere(world, actor);
  }
}
