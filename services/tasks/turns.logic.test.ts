import { createLongReads } from "./long-reads.logic.ts";

const TOO_MANY = { code: 429, type: "too_many_requests", data: { retryAfter: 2 } };
const [ADA, BOB] = ["ada", "bob"];

let now = 0;
const clock = () => now;

/** A read that ends when the test says so. */
function buildRead() {
  const { promise, resolve } = Promise.withResolvers<string>();
  return { read: jest.fn(() => promise), finish: () => resolve("found") };
}

const nextTurn = () => new Promise(setImmediate);

describe("long reads", () => {
  it("of one person run two at a time, whoever else reads", async () => {
    const longReads = createLongReads({ clock });
    const reads = Array.from({ length: 4 }, buildRead);
    const answers = reads.map(({ read }) => longReads.inTurn(ADA, read));
    expect(await longReads.inTurn(BOB, async () => "Bob's")).toBe("Bob's");
    expect(reads.map(({ read }) => read.mock.calls.length)).toEqual([1, 1, 0, 0]);
    for (const { finish } of reads) finish();
    expect(await Promise.all(answers)).toEqual(["found", "found", "found", "found"]);
  });

  it("are refused when twenty of the same person wait, and when one has waited for two seconds", async () => {
    const refusals: string[] = [];
    const longReads = createLongReads({ clock, onRefused: (reason) => refusals.push(reason) });
    const reads = Array.from({ length: 22 }, buildRead);
    const answers = Promise.allSettled(reads.map(({ read }) => longReads.inTurn(ADA, read)));
    await nextTurn();
    await expect(longReads.inTurn(ADA, async () => "one more")).rejects.toMatchObject(TOO_MANY);
    expect(await longReads.inTurn(BOB, async () => "Bob's")).toBe("Bob's");

    now += 2_001;
    for (const { finish } of reads) finish();
    const settled = await answers;
    expect(settled.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(settled.at(-1)).toMatchObject({ reason: TOO_MANY });
    expect(reads.filter(({ read }) => read.mock.calls.length > 0)).toHaveLength(2);
    expect(refusals).toEqual(["full", ...Array.from({ length: 20 }, () => "late")]);
  });

  it("that fail make room like others, and nothing is kept of who has none any more", async () => {
    const longReads = createLongReads({ clock });
    const failing = Array.from({ length: 5 }, () =>
      longReads.inTurn(ADA, () => Promise.reject(new Error("no"))),
    );
    expect(longReads.people()).toBe(1);
    for (const each of failing) await expect(each).rejects.toThrow("no");
    expect(await longReads.inTurn(ADA, async () => "found")).toBe("found");
    expect(longReads.people()).toBe(0);
  });
});
