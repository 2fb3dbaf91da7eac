import { setImmediate as nextTurn } from "node:timers/promises";
import fc from "fast-check";
import { batchesOf, inBatches, joinPackets, splitPackets } from "./packet-batch.ts";

const packet = fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes));
const packets = fc.array(packet, { maxLength: 50 });

test("packets come out of a message as they went in", () => {
  fc.assert(
    fc.property(packets, (sent) => {
      expect(splitPackets(joinPackets(sent))).toEqual(sent);
    }),
  );
});

test("a message that was cut short anywhere but between packets is refused", () => {
  fc.assert(
    fc.property(fc.array(packet, { minLength: 1, maxLength: 5 }), fc.nat(), (sent, at) => {
      const whole = joinPackets(sent);
      const cut = whole.subarray(0, at % whole.length);
      const ends = sent.map((_, count) => joinPackets(sent.slice(0, count)).length);
      if (ends.includes(cut.length))
        expect(splitPackets(cut)).toEqual(sent.slice(0, ends.indexOf(cut.length)));
      else expect(() => splitPackets(cut)).toThrow(expect.objectContaining({ name: "RangeError" }));
    }),
  );
});

test("batches keep the order, lose nothing, and are no larger than a message may be unless they are one packet", () => {
  const small = fc.nat(2_000);
  const some = { maxLength: 60, size: "max" } as const;
  const sizes = fc.oneof(fc.array(small, some), fc.array(fc.oneof(small, fc.nat(400 * 1024)), some));
  fc.assert(
    fc.property(sizes, (lengths) => {
      const waiting = lengths.map((length, n) => ({ n, data: Buffer.alloc(length) }));
      const batches = batchesOf(waiting);
      expect(batches.flat()).toEqual(waiting);
      for (const batch of batches) {
        const bytes = batch.reduce((sum, { data }) => sum + data.length, 0);
        expect(batch.length === 1 || (batch.length <= 16 && bytes <= 256 * 1024)).toBe(true);
      }
    }),
  );
});

test("packets of turns that follow each other are one message, whose senders hear that it has gone", async () => {
  const messages: Buffer[] = [];
  const send = inBatches((_queue, content) => void messages.push(content));
  const first = send("queue", Buffer.from("first"), false);
  await nextTurn();
  await nextTurn();
  expect(messages).toEqual([]);
  await Promise.all([first, send("queue", Buffer.from("second"), false)]);
  expect(messages.map((message) => splitPackets(message).map(String))).toEqual([["first", "second"]]);
});

test("small packets of one turn are one message", () => {
  const waiting = Array.from({ length: 16 }, () => ({ data: Buffer.alloc(1_000) }));
  expect(batchesOf(waiting)).toHaveLength(1);
});
