import { clock, keepTime } from "./clock.ts";

const MINUTE = 60_000;
/** Noon of some day, for the better clock. */
const NOON = Date.UTC(2026, 0, 1, 12);

let stop = (): void => {};
beforeEach(() => void jest.useFakeTimers({ now: Date.UTC(2030, 0, 1) }));
afterEach(() => {
  stop();
  jest.useRealTimers();
});

describe("the clock of a process", () => {
  it("is the machine's as long as there is no better one", async () => {
    expect(clock()).toBe(Date.now());
    await expect(keepTime(() => Promise.reject(new Error("away")), fail)).rejects.toThrow("away");
    expect(clock()).toBe(Date.now());
  });

  it("is a better one's from then on, whatever the machine's is set to", async () => {
    stop = await keepTime(async () => NOON, fail);
    expect(clock()).toBe(NOON);
    jest.setSystemTime(Date.UTC(1999, 0, 1));
    jest.advanceTimersByTime(2_000);
    expect(clock()).toBe(NOON + 2_000);
  });

  it("takes the middle between question and answer for the time of the answer", async () => {
    const reading = keepTime(async () => {
      jest.advanceTimersByTime(100);
      return NOON;
    }, fail);
    stop = await reading;
    expect(clock()).toBe(NOON + 50);
  });

  it("goes by the quickest of three readings when they are slow: one may have waited for a connection", async () => {
    const taking = [2_000, 300, 1_000];
    let readings = 0;
    stop = await keepTime(async () => {
      jest.advanceTimersByTime(taking[readings++] ?? 0);
      return NOON;
    }, fail);
    // What has passed since the quickest: half of its time, and the third.
    expect(clock()).toBe(NOON + 150 + 1_000);
    expect(readings).toBe(3);
  });

  it("is compared at once when the machine was asleep, until that succeeds", async () => {
    const errors: unknown[] = [];
    const hour = 60 * MINUTE;
    const times = [async () => NOON, () => Promise.reject(new Error("no network")), async () => NOON + hour];
    stop = await keepTime(
      () => times.shift()?.() ?? Promise.resolve(0),
      (error) => errors.push(error),
    );
    // The time that a process has been running stands still meanwhile.
    jest.setSystemTime(Date.now() + hour);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(errors).toMatchObject([{ message: "no network" }]);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(clock()).toBe(NOON + hour);
    await jest.advanceTimersByTimeAsync(10_000);
    expect(clock()).toBe(NOON + hour + 10_000);
  });

  it("is compared every minute, and goes on by itself when that fails", async () => {
    const errors: unknown[] = [];
    const times = [async () => NOON, () => Promise.reject(new Error("away")), async () => NOON + 3 * MINUTE];
    stop = await keepTime(
      () => times.shift()?.() ?? Promise.resolve(0),
      (error) => errors.push(error),
    );
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(errors).toMatchObject([{ message: "away" }]);
    expect(clock()).toBe(NOON + MINUTE);
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(clock()).toBe(NOON + 3 * MINUTE);
  });

  it("is the machine's again at the end", async () => {
    stop = await keepTime(async () => NOON, fail);
    stop();
    expect(clock()).toBe(Date.now());
  });
});

const fail = (error: unknown): void => {
  throw error;
};
