import { createHashQueue, maxWaitingFor } from "./hash-queue.logic.ts";

const OVERLOADED = { code: 503, type: "overloaded", data: { retryAfter: 2 } };

let now = 0;
const clock = () => now;

/** Work that ends when the test says so. */
function buildWork() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const work = jest.fn(() => promise);
  return { work, finish: () => resolve("done") };
}

describe("the queue of hashes", () => {
  it("line 11: runs so many at once, keeps so many waiting and refuses the next at once", async () => {
    const queue = createHashQueue({ running: 2, waiting: 3, clock });
    const jobs = Array.from({ length: 5 }, buildWork);
    const results = jobs.map(({ work }) => queue.run(work));
    await new Promise(setImmediate);

    expect(jobs.map(({ work }) => work.mock.calls.length)).toEqual([1, 1, 0, 0, 0]);
    await expect(queue.run(async () => "too many")).rejects.toMatchObject(OVERLOADED);
    expect(queue.assertRoom).toThrow("More people are signing in");

    for (const { finish } of jobs) finish();
    expect(await Promise.all(results)).toEqual(Array.from({ length: 5 }, () => "done"));
    expect(queue.assertRoom).not.toThrow();
    expect(await queue.run(async () => "free again")).toBe("free again");
  });

  it("counts what was asked for in one go", async () => {
    const queue = createHashQueue({ running: 1, waiting: 2, clock });
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => queue.run(async () => "done")));
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  });

  it("does not begin what waited for longer than its caller does", async () => {
    const queue = createHashQueue({ running: 1, waiting: 2, clock });
    const [first, second, third] = [buildWork(), buildWork(), buildWork()];
    const [one, two] = [queue.run(first.work), queue.run(second.work)];
    await new Promise(setImmediate);
    now += 1_500;
    const three = queue.run(third.work);
    now += 501;
    for (const { finish } of [first, second, third]) finish();

    const settled = await Promise.allSettled([one, two, three]);
    expect(settled).toMatchObject([{ value: "done" }, { reason: OVERLOADED }, { value: "done" }]);
    expect(second.work).not.toHaveBeenCalled();
  });

  it("lets nobody wait for longer, whatever those before take", async () => {
    const queue = createHashQueue({ running: 1, waiting: 2, clock: () => performance.now() });
    const [first, second] = [buildWork(), buildWork()];
    const one = queue.run(first.work);
    await expect(queue.run(second.work)).rejects.toMatchObject(OVERLOADED);
    first.finish();
    expect(await one).toBe("done");
    expect(await queue.run(async () => "next")).toBe("next");
    expect(second.work).not.toHaveBeenCalled();
  });

  it("goes on after work that failed", async () => {
    const queue = createHashQueue({ running: 1, waiting: 0, clock });
    await expect(queue.run(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await queue.run(async () => "next")).toBe("next");
  });

  it.each([
    [12, 1, 8],
    [12, 3, 24],
    [13, 1, 4],
    [16, 1, 1],
    [4, 1, 2048],
  ])("at cost %i with %i running lets %i wait", (cost, running, waiting) => {
    expect(maxWaitingFor(cost, running)).toBe(waiting);
  });
});

describe("who watches the queue of hashes", () => {
  it("is told how long each waited, how many run and wait, and of each refusal why", async () => {
    const [waits, refusals]: [number[], string[]] = [[], []];
    const queue = createHashQueue({
      running: 1,
      waiting: 2,
      clock,
      onTurn: (waited) => waits.push(waited),
      onRefused: (reason) => refusals.push(reason),
    });
    const [first, second, third] = [buildWork(), buildWork(), buildWork()];
    const results = [first, second, third].map(({ work }) => queue.run(work));
    await new Promise(setImmediate);
    expect(queue.counts()).toEqual({ running: 1, waiting: 2 });
    await expect(queue.run(async () => "too many")).rejects.toMatchObject(OVERLOADED);
    now += 500;
    first.finish();
    await results[0];
    await new Promise(setImmediate);
    now += 2_000;
    second.finish();
    third.finish();
    expect((await Promise.allSettled(results)).map(({ status }) => status)).toEqual([
      "fulfilled",
      "fulfilled",
      "rejected",
    ]);
    expect(waits).toEqual([0, 500, 2_500]);
    expect(refusals).toEqual(["full", "late"]);
    expect(queue.counts()).toEqual({ running: 0, waiting: 0 });
  });
});
