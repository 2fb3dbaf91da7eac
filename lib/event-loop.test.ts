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
