import { Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { collectFor, writeOncePerTurn } from "./event-loop.ts";

test("what is collected in so many turns of the event loop is handed over at once and in order", async () => {
  const handedOver: string[][] = [];
  const collect = collectFor<string>(2, (all) => handedOver.push(all));
  for (const item of ["a", "b"]) collect(item);
  await Promise.resolve().then(() => collect("c"));
  await nextTurn();
  collect("d");
  expect(handedOver).toEqual([]);
  await nextTurn();
  expect(handedOver).toEqual([["a", "b", "c", "d"]]);
  collect("e");
  await nextTurn();
  await nextTurn();
  expect(handedOver).toEqual([["a", "b", "c", "d"], ["e"]]);
});

test("who is alone waits half as long each time, and the whole time again after company", async () => {
  const handedOver: string[][] = [];
  const collect = collectFor<string>(8, (all) => handedOver.push(all));
  async function turnsOf(...items: string[]): Promise<number> {
    const before = handedOver.length;
    for (const item of items) collect(item);
    for (let turns = 1; ; turns += 1) {
      await nextTurn();
      if (handedOver.length > before) return turns;
    }
  }
  const alone: number[] = [];
  for (let times = 0; times < 5; times += 1) alone.push(await turnsOf("alone"));
  expect(alone).toEqual([8, 4, 2, 1, 1]);
  expect(await turnsOf("a", "b")).toBe(1);
  expect(await turnsOf("a", "b")).toBe(8);
  expect(handedOver.at(-1)).toEqual(["a", "b"]);
});

test("what is written in one turn of the event loop is sent at once and in order, and each turn by itself", async () => {
  const sent: string[] = [];
  const socket = new Writable({
    write(chunk, _encoding, done) {
      sent.push(String(chunk));
      done();
    },
    writev(chunks, done) {
      sent.push(chunks.map(({ chunk }) => String(chunk)).join(""));
      done();
    },
  });
  writeOncePerTurn(socket);
  for (const part of ["a", "b", "c"]) socket.write(part);
  await Promise.resolve().then(() => socket.write("d"));
  expect(sent).toEqual([]);
  await nextTurn();
  expect(sent).toEqual(["abcd"]);
  socket.write("e");
  await nextTurn();
  expect(sent).toEqual(["abcd", "e"]);
});
