import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { createCursors, type Position } from "./cursors.logic.ts";

const cursors = createCursors(randomBytes(32));
const positions: fc.Arbitrary<Position> = fc.array(
  fc.oneof(fc.string({ unit: "grapheme" }), fc.integer(), fc.constant(null)),
  { minLength: 1, maxLength: 4 },
);
const lists = fc.string({ unit: "binary" });

describe("a cursor", () => {
  it("reads back as the position it was written for", () => {
    fc.assert(
      fc.property(positions, lists, (position, list) => {
        expect(cursors.read(cursors.write(position, list), list)).toEqual(position);
      }),
    );
  });

  it("is null for another person, filter or sort", () => {
    fc.assert(
      fc.property(positions, lists, lists, (position, list, other) => {
        fc.pre(list !== other);
        expect(cursors.read(cursors.write(position, list), other)).toBeNull();
      }),
    );
  });

  it("is null for a list whose name runs on where the position begins", () => {
    const cursor = cursors.write(["a"], "list");
    for (const name of ["list\n", 'list\n["a"]', "lis", ""]) expect(cursors.read(cursor, name)).toBeNull();
  });

  it("is null with one bit turned over anywhere", () => {
    const cursor = cursors.write(["2026-11-22T10:00:00.000Z", null, 3, "01909a7e"], "list");
    for (let bit = 0; bit < cursor.length * 8; bit += 1) {
      const bytes = Buffer.from(cursor);
      bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      expect([bit, cursors.read(bytes.toString("latin1"), "list")]).toEqual([bit, null]);
    }
  });

  it("is null when it is cut anywhere or spelt otherwise", () => {
    const cursor = cursors.write(["a"], "list");
    for (let length = 0; length < cursor.length; length += 1) {
      expect(cursors.read(cursor.slice(0, length), "list")).toBeNull();
    }
    for (const spelling of [`${cursor}=`, `${cursor}A`, ` ${cursor}`, `${cursor}\n`]) {
      expect([spelling, cursors.read(spelling, "list")]).toEqual([spelling, null]);
    }
  });

  it("is null with a position of the client's own making under a genuine authentication", () => {
    fc.assert(
      fc.property(positions, positions, (position, made) => {
        fc.pre(JSON.stringify(position) !== JSON.stringify(made));
        const genuine = Buffer.from(cursors.write(position, "list"), "base64url");
        const forged = Buffer.concat([genuine.subarray(0, 16), Buffer.from(JSON.stringify(made))]);
        expect(cursors.read(forged.toString("base64url"), "list")).toBeNull();
      }),
    );
  });

  it("is null for random text and bytes, and never throws", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary" }), (text) => expect(cursors.read(text, "list")).toBeNull()),
    );
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 17 }), (bytes) => {
        expect(cursors.read(Buffer.from(bytes).toString("base64url"), "list")).toBeNull();
      }),
    );
  });

  it("is null under another key", () => {
    expect(createCursors(randomBytes(32)).read(cursors.write(["a"], "list"), "list")).toBeNull();
  });
});
