import fc from "fast-check";
import { joinText, splitText, takeText } from "./packet-text.ts";

const text = fc.oneof(fc.string({ unit: "grapheme" }), fc.string({ unit: "binary" }), fc.json());
const data = fc.oneof(fc.dictionary(fc.string(), fc.jsonValue()), fc.jsonValue());
const answer = fc.oneof(
  fc.record({ id: fc.uuid(), data }),
  fc.record({ id: fc.uuid(), data: fc.record({ text, nextCursor: fc.option(fc.string()) }) }),
);

/** What the receiver makes of an answer. */
function travel(payload: { data?: unknown }): unknown {
  const taken = takeText(payload);
  const json = Buffer.from(JSON.stringify(taken.payload));
  const received = splitText(taken.text === undefined ? json : joinText(json, taken.text));
  const answered = JSON.parse(String(received.json));
  if (received.text !== undefined) answered.data.text = received.text;
  return answered;
}

test("an answer arrives as it does by JSON alone, whatever its text", () => {
  fc.assert(
    fc.property(answer, (payload) => {
      expect(travel(payload)).toEqual(JSON.parse(JSON.stringify(payload)));
    }),
  );
});

test("an answer is not changed by being sent", () => {
  const payload = { id: "a", data: { text: "page", nextCursor: null } };
  expect(takeText(payload)).toEqual({ payload: { id: "a", data: { nextCursor: null } }, text: "page" });
  expect(payload).toEqual({ id: "a", data: { text: "page", nextCursor: null } });
});

test.each([
  ["is no text", { text: 7 }],
  ["is longer than a mebibyte of characters", { text: "x".repeat(2 ** 20 + 1) }],
  ["has half of a pair of surrogates", { text: "\ud83d" }],
])("what %s stays in the JSON", (_, payload) => {
  expect(takeText({ data: payload })).toEqual({ payload: { data: payload } });
});

test("a packet that ends before its text is refused", () => {
  const whole = joinText(Buffer.from('{"data":{}}'), "page");
  expect(() => splitText(whole.subarray(0, 11))).toThrow(RangeError);
});
