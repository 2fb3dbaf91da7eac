import fc from "fast-check";
import type Joi from "joi";
import { commaList, dateOrInstant, locale, text, timeZone, uuid } from "./schema.ts";

/** What becomes of a value: its canonical form, or the kind of refusal. */
function read(schema: Joi.Schema, value: unknown): unknown {
  const { value: accepted, error } = schema.validate(value);
  return error ? { refused: error.details[0]?.type } : accepted;
}

const refused = (type: string) => ({ refused: type });

describe("a date or an instant", () => {
  it.each([
    ["2026-12-01", "2026-12-01"],
    ["2024-02-29", "2024-02-29"],
    ["0001-01-01", "0001-01-01"],
    ["9999-12-31", "9999-12-31"],
    ["2026-12-01T09:00:00Z", "2026-12-01T09:00:00.000Z"],
    ["2026-12-01t09:00:00z", "2026-12-01T09:00:00.000Z"],
    ["2026-12-01T09:00:00+03:00", "2026-12-01T06:00:00.000Z"],
    ["2026-12-01T00:00:00+14:00", "2026-11-30T10:00:00.000Z"],
    ["2026-12-01T09:00:00-00:00", "2026-12-01T09:00:00.000Z"],
    ["2026-12-01T09:00:00.5Z", "2026-12-01T09:00:00.500Z"],
    ["2026-12-01T09:00:00.123456789Z", "2026-12-01T09:00:00.123Z"],
    ["0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000Z"],
    ["9999-12-31T23:59:59.999Z", "9999-12-31T23:59:59.999Z"],
  ])("like %s is %s", (sent, canonical) => {
    expect(read(dateOrInstant(), sent)).toBe(canonical);
  });

  it.each([
    ["a day that is not in the calendar", "2026-02-29"],
    ["the thirty-first of a short month", "2026-04-31"],
    ["the month 0", "2026-00-10"],
    ["the month 13", "2026-13-01"],
    ["the day 0", "2026-01-00"],
    ["the year 0", "0000-01-01"],
    ["a year of five digits", "10000-01-01"],
    ["a year with a sign", "+002026-01-01"],
    ["a negative year", "-000001-01-01"],
    ["a month alone", "2026-12"],
    ["a year alone", "2026"],
    ["a week date", "2026-W49-1"],
    ["no leading zeros", "2026-1-1"],
    ["slashes", "12/01/2026"],
    ["a number of seconds", "1796115600"],
    ["an instant without an offset", "2026-12-01T09:00:00"],
    ["a space for the T", "2026-12-01 09:00:00Z"],
    ["an instant on a day that is not in the calendar", "2026-02-30T09:00:00Z"],
    ["the hour 24", "2026-12-31T24:00:00Z"],
    ["the hour 25", "2026-12-01T25:00:00Z"],
    ["the minute 60", "2026-12-01T09:60:00Z"],
    ["an offset of 24 hours", "2026-12-01T09:00:00+24:00"],
    ["an offset without a colon", "2026-12-01T09:00:00+0300"],
    ["a zone's name", "2026-12-01T09:00:00Europe/Berlin"],
    ["ten digits of a second", "2026-12-01T09:00:00.1234567891Z"],
    ["an instant that is in the year 0 in UTC", "0001-01-01T00:00:00+00:01"],
    ["an instant that is in the year 10000 in UTC", "9999-12-31T23:59:59-00:01"],
    ["white space around it", " 2026-12-01 "],
    ["a line break after it", "2026-12-01\n"],
    ["digits of another script", "٢٠٢٦-١٢-٠١"],
    ["a word", "tomorrow"],
  ])("is not %s", (_, sent) => {
    expect([sent, read(dateOrInstant(), sent)]).toEqual([sent, refused("string.dateOrInstant")]);
  });

  it("is nothing but text", () => {
    for (const thing of [0, true, {}, [], new Date(0)]) {
      expect(read(dateOrInstant(), thing)).toEqual(refused("string.base"));
    }
  });

  it("is canonical the second time already", () => {
    const dates = fc.date({ min: new Date("0001-01-01"), max: new Date("9999-12-31"), noInvalidDate: true });
    fc.assert(
      fc.property(dates, fc.integer({ min: -1439, max: 1439 }), (date, minutes) => {
        const sign = minutes < 0 ? "-" : "+";
        const two = (number: number): string => String(Math.trunc(Math.abs(number))).padStart(2, "0");
        const offset = `${sign}${two(minutes / 60)}:${two(minutes % 60)}`;
        const local = date.toISOString().replace("Z", offset);
        const canonical = read(dateOrInstant(), local);
        fc.pre(typeof canonical === "string");
        expect(canonical).toBe(new Date(local).toISOString());
        expect(read(dateOrInstant(), canonical)).toBe(canonical);
      }),
    );
  });
});

describe("a time zone", () => {
  it("is every zone of the runtime, under its own name", () => {
    const zones = Intl.supportedValuesOf("timeZone");
    expect(zones.map((zone) => read(timeZone(), zone))).toEqual(zones);
  });

  it("is found in any case", () => {
    expect(["utc", "europe/berlin", "EUROPE/BERLIN"].map((zone) => read(timeZone(), zone))).toEqual([
      "UTC",
      "Europe/Berlin",
      "Europe/Berlin",
    ]);
  });

  it("keeps the present name of a zone that was renamed", () => {
    const renamed = ["Asia/Kolkata", "Europe/Kyiv", "Asia/Ho_Chi_Minh", "America/Nuuk"];
    expect(renamed.map((zone) => read(timeZone(), zone))).toEqual(renamed);
  });

  it.each([
    "+03:00",
    "-05",
    "Mars/Olympus",
    "Europe/Berlin ",
    "Europe\\Berlin",
    "",
    "Europe/Berlin\0",
    "../etc/passwd",
    "null",
    "PST",
    "ACT",
  ])("is not %j", (sent) => {
    expect(read(timeZone(), sent)).toEqual({ refused: expect.any(String) });
  });

  it("is refused quickly however long it is", () => {
    expect(read(timeZone(), "A".repeat(100_000))).toEqual(refused("string.max"));
  });
});

describe("text", () => {
  it("is any well-formed Unicode", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", minLength: 1 }), (value) => {
        fc.pre(!value.includes("\0"));
        expect(read(text(), value)).toBe(value);
      }),
    );
  });

  it.each([
    ["NUL", "a\0b"],
    ["half a surrogate pair", "a\ud83c"],
    ["the other half", "\udf31b"],
    ["both halves the wrong way round", "\udf31\ud83c"],
  ])("has no %s in it", (_, value) => {
    expect(read(text(), value)).toEqual(refused("string.unicode"));
  });
});

describe("an id", () => {
  it("is a UUID in lower case", () => {
    fc.assert(fc.property(fc.uuid(), (id) => expect(read(uuid(), id.toUpperCase())).toBe(id)));
  });

  it.each([
    "",
    "1",
    "01909a7e000070008000000000000000",
    "{01909a7e-0000-7000-8000-000000000000}",
    "(01909a7e-0000-7000-8000-000000000000)",
    "[01909a7e-0000-7000-8000-000000000000]",
    "01909a7e-0000-7000-8000-000000000000 ",
    "01909a7e-0000-7000-8000-00000000000g",
    "' OR 1=1 --",
  ])("is not %j", (value) => {
    expect(read(uuid(), value)).toEqual({ refused: expect.any(String) });
  });
});

describe("a language tag", () => {
  it("is brought into its canonical form", () => {
    expect(["EN", "pt-br", "zh-hant-tw"].map((tag) => read(locale(), tag))).toEqual([
      "en",
      "pt-BR",
      "zh-Hant-TW",
    ]);
  });

  it.each(["", "e", "en_GB", "english!", "en-", "x".repeat(36)])("is not %j", (tag) => {
    expect(read(locale(), tag)).toEqual({ refused: expect.any(String) });
  });
});

describe("a list with commas", () => {
  it("is one whether it comes as text or as a list", () => {
    expect(read(commaList(text()), "a,b")).toEqual(["a", "b"]);
    expect(read(commaList(text()), ["a", "b"])).toEqual(["a", "b"]);
  });

  it("is refused when it is empty, repeats itself or has empty items", () => {
    const items = commaList(text());
    expect(read(items, "")).toEqual(refused("array.min"));
    expect(read(items, "a,a")).toEqual(refused("array.unique"));
    expect(read(items, "a,,b")).toEqual(refused("string.empty"));
  });
});
