import fc from "fast-check";
import { readDue, readDueFilter, readRange, startOfDay, toDueView } from "./due.logic.ts";

const ZONES = Intl.supportedValuesOf("timeZone");
const HOUR = 3_600_000;
const DAY = 24 * HOUR;

/** From 2012 on: before, some clocks went back at a minute past midnight, and a day came in two pieces. */
const instants = fc
  .date({ min: new Date("2012-01-01T00:00:00Z"), max: new Date("2040-01-01T00:00:00Z"), noInvalidDate: true })
  .map((date) => date.getTime());
const zones = fc.constantFrom(...ZONES);

const formats = new Map<string, Intl.DateTimeFormat>();

/** The date on a calendar there, by another way than the code under test. */
function localDate(instant: number, timeZone: string): string {
  const format = formats.get(timeZone) ?? new Intl.DateTimeFormat("en-CA", { timeZone, dateStyle: "short" });
  formats.set(timeZone, format);
  return format.format(instant);
}

const addDays = (date: string, days: number): string =>
  new Date(Date.parse(`${date}T00:00:00Z`) + days * DAY).toISOString().slice(0, 10);

/** The bounds that a filter asks of `due`. */
function windowOf(filter: "today" | "week", now: number, timeZone: string): { from: number; to: number } {
  const { range } = readDueFilter(filter, new Date(now), timeZone);
  if (!range?.from || !range.to) throw new Error(`${filter} has no bounds`);
  return { from: range.from.getTime(), to: range.to.getTime() };
}

describe("a day", () => {
  it.each([
    ["UTC", "2026-11-22", "2026-11-22T00:00:00.000Z"],
    ["Europe/Berlin", "2026-03-29", "2026-03-28T23:00:00.000Z"],
    ["Europe/Berlin", "2026-03-30", "2026-03-29T22:00:00.000Z"],
    ["Asia/Kathmandu", "2026-11-22", "2026-11-21T18:15:00.000Z"],
    ["Pacific/Kiritimati", "2026-11-22", "2026-11-21T10:00:00.000Z"],
    ["Pacific/Niue", "2026-11-22", "2026-11-22T11:00:00.000Z"],
  ])("in %s begins %s at %s", (timeZone, date, begins) => {
    expect(startOfDay(date, timeZone).toISOString()).toBe(begins);
  });

  it.each([
    ["America/Sao_Paulo", "2018-11-04", "2018-11-04T03:00:00.000Z"],
    ["Asia/Beirut", "2022-03-27", "2022-03-26T22:00:00.000Z"],
    ["Africa/Cairo", "2024-04-26", "2024-04-25T22:00:00.000Z"],
    ["America/Santiago", "2026-09-06", "2026-09-06T04:00:00.000Z"],
  ])("in %s whose clocks skip midnight on %s begins at one", (timeZone, date, begins) => {
    expect(startOfDay(date, timeZone).toISOString()).toBe(begins);
    const hour = new Intl.DateTimeFormat("en-GB", { timeZone, timeStyle: "short" }).format(
      startOfDay(date, timeZone),
    );
    expect(hour).toBe("01:00");
  });

  it("begins within an hour that clocks skip, where they skip one that begins the day before", () => {
    // Toronto, 30 March 1919: at half past eleven it was half past midnight.
    expect(startOfDay("1919-03-31", "America/Toronto").toISOString()).toBe("1919-03-31T04:30:00.000Z");
  });

  it("that a country left out begins with the one after it", () => {
    expect(startOfDay("2011-12-30", "Pacific/Apia")).toEqual(startOfDay("2011-12-31", "Pacific/Apia"));
  });

  it("that has midnight twice begins with the first", () => {
    // Havana, 1 November 2026: at 01:00 it is 00:00 again.
    expect(startOfDay("2026-11-01", "America/Havana").toISOString()).toBe("2026-11-01T04:00:00.000Z");
    expect(startOfDay("2026-11-02", "America/Havana").toISOString()).toBe("2026-11-02T05:00:00.000Z");
  });

  it("begins with the first millisecond of its date, in every zone", () => {
    fc.assert(
      fc.property(zones, instants, (timeZone, instant) => {
        const date = localDate(instant, timeZone);
        const begins = startOfDay(date, timeZone).getTime();
        expect(localDate(begins, timeZone)).toBe(date);
        expect(localDate(begins - 1, timeZone) < date).toBe(true);
        expect(begins).toBeLessThanOrEqual(instant);
      }),
      { numRuns: 1_000 },
    );
  });
});

describe("a due time", () => {
  it("that is a date keeps its date, and the zone in which its day begins", () => {
    expect(readDue("2026-12-01", "Asia/Tokyo")).toEqual({
      dueOn: "2026-12-01",
      dueZone: "Asia/Tokyo",
      dueAt: new Date("2026-11-30T15:00:00Z"),
    });
  });

  it("that is an instant is that instant in every zone", () => {
    fc.assert(
      fc.property(zones, instants, (timeZone, instant) => {
        expect(readDue(new Date(instant).toISOString(), timeZone)).toEqual({
          dueOn: null,
          dueZone: null,
          dueAt: new Date(instant),
        });
      }),
    );
  });

  it("that is null is none", () => {
    expect(readDue(null, "Asia/Tokyo")).toEqual({ dueOn: null, dueZone: null, dueAt: null });
  });

  it("comes back as it was sent", () => {
    const dates = instants.map((instant) => new Date(instant).toISOString());
    const dues = fc.oneof(
      fc.constant(null),
      dates,
      dates.map((date) => date.slice(0, 10)),
    );
    fc.assert(fc.property(dues, zones, (due, zone) => expect(toDueView(readDue(due, zone))).toBe(due)));
  });
});

describe("today", () => {
  it("holds this very moment, and every moment of its date and no other", () => {
    fc.assert(
      fc.property(zones, instants, fc.double({ min: 0, max: 1, noNaN: true }), (timeZone, now, share) => {
        const { from, to } = windowOf("today", now, timeZone);
        const today = localDate(now, timeZone);
        const within = Math.min(to - 1, Math.floor(from + share * (to - from)));

        expect(from <= now && now < to).toBe(true);
        expect([from, within, to - 1].map((each) => localDate(each, timeZone))).toEqual([
          today,
          today,
          today,
        ]);
        expect(localDate(from - 1, timeZone)).not.toBe(today);
        expect(localDate(to, timeZone)).not.toBe(today);
      }),
      { numRuns: 1_000 },
    );
  });

  it.each([
    ["the day clocks go forward", "2026-03-29T12:00:00Z", 23],
    ["the day clocks go back", "2026-10-25T12:00:00Z", 25],
    ["any other day", "2026-11-22T12:00:00Z", 24],
  ])("is as long as %s", (_, now, hours) => {
    const { from, to } = windowOf("today", Date.parse(now), "Europe/Berlin");
    expect((to - from) / HOUR).toBe(hours);
  });
});

describe("this week", () => {
  it("is today and the six days after it", () => {
    fc.assert(
      fc.property(zones, instants, (timeZone, now) => {
        const { from, to } = windowOf("week", now, timeZone);
        const today = localDate(now, timeZone);

        expect(from).toBe(windowOf("today", now, timeZone).from);
        expect(localDate(to - 1, timeZone)).toBe(addDays(today, 6));
        expect(localDate(to, timeZone)).toBe(addDays(today, 7));
      }),
      { numRuns: 500 },
    );
  });

  it("has an hour less or more where clocks change in it", () => {
    const hours = (now: string) => {
      const { from, to } = windowOf("week", Date.parse(now), "Europe/Berlin");
      return (to - from) / HOUR;
    };
    expect([hours("2026-03-25T12:00:00Z"), hours("2026-10-21T12:00:00Z")]).toEqual([7 * 24 - 1, 7 * 24 + 1]);
  });
});

describe("overdue", () => {
  it("is what was due before now, and all-day tasks from before today", () => {
    fc.assert(
      fc.property(zones, instants, (timeZone, now) => {
        const { overdue } = readDueFilter("overdue", new Date(now), timeZone);
        expect(overdue?.now.getTime()).toBe(now);
        expect(overdue?.today).toEqual(startOfDay(localDate(now, timeZone), timeZone));
      }),
    );
  });
});

describe("the other filters", () => {
  it("ask only whether there is a due time", () => {
    expect(readDueFilter("none", new Date(), "UTC")).toEqual({ present: false });
    expect(readDueFilter("any", new Date(), "UTC")).toEqual({ present: true });
  });

  it("take a date in a range for its beginning where the person is, and leave out what is not given", () => {
    expect(readRange("2026-12-01", "2026-12-01T09:00:00.000Z", "Asia/Tokyo")).toEqual({
      from: new Date("2026-11-30T15:00:00Z"),
      to: new Date("2026-12-01T09:00:00Z"),
    });
    expect(readRange(undefined, undefined, "UTC")).toEqual({});
  });
});
