import { keepHouse } from "./housekeeping.ts";
import { registry } from "./metrics.ts";

const SECOND = 1_000;

beforeEach(() => jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick"] }));
afterEach(() => jest.useRealTimers());

/** What a chore has left to do, and how often it was asked. */
const pile = (name: string, parts: (number | Error)[]) => {
  const chore = {
    name,
    every: SECOND,
    asked: 0,
    async part() {
      chore.asked += 1;
      const next = parts.shift() ?? 0;
      if (next instanceof Error) throw next;
      return next;
    },
  };
  return chore;
};

const roundsOf = async (chore: string): Promise<Record<string, number>> => {
  const metric = await registry.getSingleMetric("taskmesh_housekeeping_total")?.get();
  const mine = metric?.values.filter(({ labels }) => labels.chore === chore) ?? [];
  return Object.fromEntries(mine.map(({ labels, value }) => [String(labels.result), value]));
};

it("does a chore until nothing is left, and again when it is time", async () => {
  const chore = pile("until none", [500, 500, 3]);
  const { end } = keepHouse([chore], () => {});
  await jest.advanceTimersByTimeAsync(SECOND - 1);
  expect(chore.asked).toBe(0);
  expect(await roundsOf("until none")).toEqual({ done: 0, failed: 0 });
  jest.advanceTimersByTime(1);
  await whenAsked(chore, 4);
  jest.advanceTimersByTime(SECOND);
  await whenAsked(chore, 5);
  await end();
  expect(await roundsOf("until none")).toEqual({ done: 2, failed: 0 });
});

it("does the others though one fails, says which failed, and tries that one again", async () => {
  const failure = new Error("the database is away");
  const [bad, good] = [pile("bad", [failure]), pile("good", [])];
  const told: unknown[] = [];
  const { end } = keepHouse([bad, good], (...what) => told.push(what));
  jest.advanceTimersByTime(SECOND);
  await whenAsked(good, 1);
  expect(told).toEqual([[failure, "bad"]]);
  jest.advanceTimersByTime(SECOND);
  await whenAsked(bad, 2);
  await end();
  expect(await roundsOf("bad")).toEqual({ done: 1, failed: 1 });
  expect(await roundsOf("good")).toEqual({ done: 2, failed: 0 });
});

it("tries what fails less and less often, once a minute at last, and counts what is left out as failed", async () => {
  const bad = { ...pile("rested", []), part: async () => Promise.reject(new Error("away")) };
  const told: number[] = [];
  const { end, hurry } = keepHouse([bad], () => told.push(performance.now()));
  const pass = (seconds: number) => jest.advanceTimersByTimeAsync(seconds * SECOND);
  const startedAt = performance.now();
  await pass(200);
  const seconds = told.map((at) => Math.round((at - startedAt) / SECOND));
  expect(seconds).toEqual([1, 2, 4, 8, 16, 32, 64, 124, 184]);
  expect(await roundsOf("rested")).toEqual({ done: 0, failed: 200 });
  hurry();
  await pass(3);
  expect(told).toHaveLength(11);
  await end();
});

it("begins no round before the last one has ended, and ends when what it does is done", async () => {
  let finish = (_done: number) => {};
  let asked = 0;
  const slow = {
    name: "slow",
    every: SECOND,
    part: () => {
      asked += 1;
      return new Promise<number>((resolve) => {
        finish = resolve;
      });
    },
  };
  const { end } = keepHouse([slow], () => {});
  jest.advanceTimersByTime(3 * SECOND);
  expect(asked).toBe(1);
  let isOver = false;
  const over = end().then(() => {
    isOver = true;
  });
  await nextTurn();
  expect(isOver).toBe(false);
  finish(500);
  await over;
  jest.advanceTimersByTime(3 * SECOND);
  // Something is left, but this node has gone: it is for others.
  expect(asked).toBe(1);
});

const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function whenAsked(chore: { asked: number }, times: number): Promise<void> {
  while (chore.asked < times) await nextTurn();
  await nextTurn();
  expect(chore.asked).toBe(times);
}
