import { Errors } from "moleculer";
import { notFound } from "../../lib/errors.ts";
import { createTurns, type TurnKind } from "./turns.logic.ts";

const UNAVAILABLE = { code: 503, type: "unavailable" };
const TOO_MANY = { code: 429, type: "too_many_requests", data: { retryAfter: 2 } };
const [ADA, BOB] = ["ada", "bob"];

let now = 0;
const clock = () => now;

/** Work that ends when the test says so. */
function buildWork() {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  return { work: jest.fn(() => promise), finish: () => resolve("done"), fail: reject };
}

const nextTurn = () => new Promise(setImmediate);

const kinds: [TurnKind, number][] = [
  ["long_read", 20],
  ["write", 200],
];

describe.each(kinds)("turns of the kind %s", (kind, waiting) => {
  it("are two of one person's at a time, whoever else has some", async () => {
    const turns = createTurns(kind, { clock });
    const works = Array.from({ length: 4 }, buildWork);
    const answers = works.map(({ work }) => turns.inTurn(ADA, work));
    expect(await turns.inTurn(BOB, async () => "Bob's")).toBe("Bob's");
    expect(works.map(({ work }) => work.mock.calls.length)).toEqual([1, 1, 0, 0]);
    works[0]?.finish();
    await nextTurn();
    const fifth = buildWork();
    const last = turns.inTurn(ADA, fifth.work);
    await nextTurn();
    expect([...works, fifth].map(({ work }) => work.mock.calls.length)).toEqual([1, 1, 1, 0, 0]);
    for (const { finish } of [...works, fifth]) finish();
    expect(await Promise.all([...answers, last])).toEqual(Array(5).fill("done"));
  });

  it(`are refused when ${waiting} of the same person wait, and when one has waited for two seconds`, async () => {
    const refusals: string[] = [];
    const turns = createTurns(kind, { clock, onRefused: (reason) => refusals.push(reason) });
    const works = Array.from({ length: 2 + waiting }, buildWork);
    const answers = Promise.allSettled(works.map(({ work }) => turns.inTurn(ADA, work)));
    await nextTurn();
    await expect(turns.inTurn(ADA, async () => "one more")).rejects.toMatchObject(TOO_MANY);
    expect(await turns.inTurn(BOB, async () => "Bob's")).toBe("Bob's");

    now += 2_001;
    for (const { finish } of works) finish();
    const settled = await answers;
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(settled.at(-1)).toMatchObject({ reason: TOO_MANY });
    expect(works.filter(({ work }) => work.mock.calls.length > 0)).toHaveLength(2);
    expect(refusals).toEqual(["full", ...Array.from({ length: waiting }, () => "late")]);
  });

  it("begin anew for whoever comes long after the last", async () => {
    const turns = createTurns(kind, { clock });
    await turns.inTurn(ADA, async () => "Ada's");
    now += 10_000;
    const bobs = Array.from({ length: 2 + waiting }, buildWork);
    const his = bobs.map(({ work }) => turns.inTurn(BOB, work));
    await expect(turns.inTurn(BOB, async () => "one more")).rejects.toMatchObject(TOO_MANY);
    for (const { finish } of bobs) finish();
    await Promise.all(his);
  });

  it("have nothing of whoever had them before", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "queueMicrotask"] });
    const turns = createTurns(kind, { clock });
    const adas = Array.from({ length: 2 + waiting }, buildWork);
    const answers = Promise.allSettled(adas.map(({ work }) => turns.inTurn(ADA, work)));
    await nextTurn();
    // Those that wait are refused, and stay in the queue until those before them are done.
    jest.advanceTimersByTime(2_001);
    jest.useRealTimers();
    await nextTurn();
    now += 10_000;
    for (const { finish } of adas) finish();
    while (turns.people() > 0) await Promise.resolve();

    const bobs = Array.from({ length: 2 + waiting }, buildWork);
    const his = bobs.map(({ work }) => turns.inTurn(BOB, work));
    await expect(turns.inTurn(BOB, async () => "one more")).rejects.toMatchObject(TOO_MANY);
    for (const { finish } of bobs) finish();
    expect(await Promise.all(his)).toEqual(bobs.map(() => "done"));
    await answers;
  });

  it("are unavailable when nothing of that person's is done while they wait", async () => {
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "performance"] });
    const onRefused = jest.fn();
    const turns = createTurns(kind, { clock, onRefused });
    const works = [buildWork(), buildWork()];
    const running = works.map(({ work }) => turns.inTurn(ADA, work));
    await nextTurn();
    now += 1_000;
    const waiting = turns.inTurn(ADA, async () => "too late");
    now += 2_000;
    jest.advanceTimersByTime(2_000);
    jest.useRealTimers();
    await expect(waiting).rejects.toMatchObject(UNAVAILABLE);
    for (const { finish } of works) finish();
    await Promise.all(running);
    expect(onRefused).not.toHaveBeenCalled();
  });

  it.each([
    ["wait for that person", "not yet"],
    ["have waited for that person until just now", "just now"],
  ])("are too many when those that run %s", async (_, finished) => {
    const turns = createTurns(kind, { clock });
    const [theirs, ours] = [buildWork(), buildWork()];
    const running = [1, 2].map(() =>
      turns.inTurn(ADA, async (waitForThem) => {
        await waitForThem(theirs.work);
        return ours.work();
      }),
    );
    await nextTurn();
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "performance"] });
    const waiting = turns.inTurn(ADA, async () => "too late");
    now += 2_000;
    if (finished === "just now") theirs.finish();
    await nextTurn();
    jest.advanceTimersByTime(2_000);
    jest.useRealTimers();
    await expect(waiting).rejects.toMatchObject(TOO_MANY);
    for (const { finish } of [theirs, ours]) finish();
    await Promise.all(running);
  });

  it.each([
    ["unavailable when all before them failed", new Error("no database"), UNAVAILABLE],
    ["unavailable when nobody took them", new Errors.ServiceNotFoundError({ action: "x" }), UNAVAILABLE],
    ["too many when those before them were refused", notFound("task"), TOO_MANY],
  ])("are %s", async (_, failure, refusal) => {
    const turns = createTurns(kind, { clock });
    const works = [buildWork(), buildWork()];
    // What comes at once is no sign that anybody is at work.
    const running = Promise.allSettled(
      works.map(({ work }) =>
        turns.inTurn(ADA, async (waitForThem) => {
          await waitForThem(async () => {});
          return work();
        }),
      ),
    );
    const waiting = turns.inTurn(ADA, async () => "too late");
    await nextTurn();
    now += 2_001;
    for (const { fail } of works) fail(failure);
    await expect(waiting).rejects.toMatchObject(refusal);
    await running;
  });

  it("are unavailable, too, when failures have let others begin meanwhile", async () => {
    const turns = createTurns(kind, { clock });
    const works = Array.from({ length: 4 }, buildWork);
    const begin = ({ work }: (typeof works)[number]) =>
      turns.inTurn(ADA, async (waitForThem) => {
        await waitForThem(async () => {});
        return work();
      });
    const running = Promise.allSettled(works.map(begin));
    await nextTurn();
    jest.useFakeTimers({ doNotFake: ["setImmediate", "nextTick", "performance"] });
    now += 500;
    const waiting = turns.inTurn(ADA, async () => "too late");
    now += 1_500;
    for (const { fail } of works.slice(0, 2)) fail(new Error("no database"));
    await nextTurn();
    now += 500;
    jest.advanceTimersByTime(2_000);
    jest.useRealTimers();
    await expect(waiting).rejects.toMatchObject(UNAVAILABLE);
    for (const { finish } of works) finish();
    await running;
  });

  it("that fail make room like others, and nothing is kept of who has none any more", async () => {
    const turns = createTurns(kind, { clock });
    const failing = Array.from({ length: 5 }, () => turns.inTurn(ADA, () => Promise.reject(new Error("no"))));
    expect(turns.people()).toBe(1);
    for (const each of failing) await expect(each).rejects.toThrow("no");
    expect(await turns.inTurn(ADA, async () => "done")).toBe("done");
    expect(turns.people()).toBe(0);
  });
});
