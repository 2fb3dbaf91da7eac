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

  it("takes the middle between question and answer for the time of the answer, of the quickest of three", async () => {
    const taking = [2_000, 100, 1_000];
    let readings = 0;
    stop = await keepTime(async () => {
      jest.advanceTimersByTime(taking[readings++] ?? 0);
      return NOON;
    }, fail);
    // What has passed since: half of the second's time, and the third's.
    expect(clock()).toBe(NOON + 50 + 1_000);
    expect(readings).toBe(3);
  });

  it("is compared at once when the machine was asleep, until that succeeds", async () => {
    const errors: unknown[] = [];
    const hour = 60 * MINUTE;
    let read = async (): Promise<number> => NOON;
    stop = await keepTime(
      () => read(),
      (error) => errors.push(error),
    );
    read = () => Promise.reject(new Error("no network"));
    // The time that a process has been running stands still meanwhile.
    jest.setSystemTime(Date.now() + hour);
    await jest.advanceTimersByTimeAsync(1_000);
    expect(errors).toMatchObject([{ message: "no network" }]);
    read = async () => NOON + hour;
    await jest.advanceTimersByTimeAsync(1_000);
    expect(clock()).toBe(NOON + hour);
    read = () => Promise.reject(new Error("asked too often"));
    await jest.advanceTimersByTimeAsync(10_000);
    expect(clock()).toBe(NOON + hour + 10_000);
    expect(errors).toHaveLength(1);
  });

  it("is compared every minute, and goes on by itself when that fails", async () => {
    const errors: unknown[] = [];
    let read = async (): Promise<number> => NOON;
    stop = await keepTime(
      () => read(),
      (error) => errors.push(error),
    );
    read = () => Promise.reject(new Error("away"));
    await jest.advanceTimersByTimeAsync(MINUTE);
    expect(errors).toMatchObject([{ message: "away" }]);
    expect(clock()).toBe(NOON + MINUTE);
    read = async () => NOON + 3 * MINUTE;
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
