import { createHashQueue, maxWaitingFor } from "./hash-queue.logic.ts";

const OVERLOADED = { code: 503, type: "overloaded", data: { retryAfter: 2 } };

/** Work that ends when the test says so. */
function buildWork() {
  const { promise, resolve } = Promise.withResolvers<string>();
  const work = jest.fn(() => promise);
  return { work, finish: () => resolve("done") };
}

describe("the queue of hashes", () => {
  it("runs so many at once, keeps so many waiting and refuses the next at once", async () => {
    const queue = createHashQueue({ running: 2, waiting: 3 });
    const jobs = Array.from({ length: 5 }, buildWork);
    const results = jobs.map(({ work }) => queue(work));
    await new Promise(setImmediate);

    expect(jobs.map(({ work }) => work.mock.calls.length)).toEqual([1, 1, 0, 0, 0]);
    await expect(queue(async () => "too many")).rejects.toMatchObject(OVERLOADED);

    for (const { finish } of jobs) finish();
    expect(await Promise.all(results)).toEqual(Array.from({ length: 5 }, () => "done"));
    expect(await queue(async () => "free again")).toBe("free again");
  });

  it("counts what was asked for in one go", async () => {
    const queue = createHashQueue({ running: 1, waiting: 2 });
    const settled = await Promise.allSettled(Array.from({ length: 10 }, () => queue(async () => "done")));
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(3);
  });

  it("goes on after work that failed", async () => {
    const queue = createHashQueue({ running: 1, waiting: 0 });
    await expect(queue(() => Promise.reject(new Error("no")))).rejects.toThrow("no");
    expect(await queue(async () => "next")).toBe("next");
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
