import type { Writable } from "node:stream";

/**
 * Hands over what was collected in some turns of the event loop, all at once and in order.
 *
 * @param mostTurns it waits half as many each time after an item had no company, so that who is alone hardly waits
 */
export function collectFor<T>(mostTurns: number, handOver: (collected: T[]) => void): (item: T) => void {
  let collected: T[] = [];
  let turns = mostTurns;
  const endTurn = (left: number): void => {
    if (left > 0) {
      setImmediate(endTurn, left - 1);
      return;
    }
    const all = collected;
    collected = [];
    turns = all.length > 1 ? mostTurns : Math.ceil(turns / 2);
    handOver(all);
  };
  return (item) => {
    if (collected.push(item) === 1) setImmediate(endTurn, turns - 1);
  };
}

/**
 * Sends what is written in one turn of the event loop by one system call. Every message and acknowledgement is a write of
 * its own otherwise, and those were the largest part of what a busy node does.
 */
export function writeOncePerTurn(socket: Writable): void {
  const write = socket.write;
  let corked = false;
  const send = (): void => {
    corked = false;
    socket.uncork();
  };
  const corking = (...args: unknown[]): unknown => {
    if (!corked) {
      corked = true;
      socket.cork();
      setImmediate(send);
    }
    return Reflect.apply(write, socket, args);
  };
  Object.assign(socket, { write: corking });
}
