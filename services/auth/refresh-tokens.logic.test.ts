import fc from "fast-check";
import { createRefreshTokens, judgeRefresh } from "./refresh-tokens.logic.ts";

const SECONDS = 1000;
const DAYS = 86_400 * SECONDS;
const REFRESHED = Date.UTC(2026, 10, 22);

/** A session that was rotated three times, the last time at REFRESHED. */
const judge = (
  counter: number,
  later: number,
  { createdAt = REFRESHED, endedAt = null }: { createdAt?: number; endedAt?: Date | null } = {},
) =>
  judgeRefresh(
    { refreshCounter: 3, refreshedAt: new Date(REFRESHED), createdAt: new Date(createdAt), endedAt },
    counter,
    { now: REFRESHED + later, idleTtlMs: 7 * DAYS },
  );

describe("presenting a refresh token", () => {
  it("line 17: rotates the current one", () => {
    expect(judge(3, 0)).toBe("rotate");
    expect(judge(3, 1)).toBe("rotate");
  });

  it("line 17: repeats the answer to the previous one for ten seconds, to the millisecond", () => {
    expect(judge(2, 0)).toBe("repeat");
    expect(judge(2, 10 * SECONDS)).toBe("repeat");
    expect(judge(2, 10 * SECONDS + 1)).toBe("reuse");
  });

  it("line 17: is reuse with anything older, and with one that was never given out", () => {
    for (const counter of [1, 0, 4, 5, 2 ** 32 - 1])
      expect([counter, judge(counter, 1)]).toEqual([counter, "reuse"]);
  });

  it("line 19: is too late after seven days without use, to the millisecond", () => {
    expect(judge(3, 7 * DAYS - 1)).toBe("rotate");
    expect(judge(3, 7 * DAYS)).toBe("expired");
  });

  it("line 19: is too late thirty days after signing in, however often it was used", () => {
    const createdAt = REFRESHED - 29 * DAYS;
    expect(judge(3, DAYS - 1, { createdAt })).toBe("rotate");
    expect(judge(3, DAYS, { createdAt })).toBe("expired");
    expect(judge(2, 5 * SECONDS, { createdAt: REFRESHED - 30 * DAYS })).toBe("expired");
  });

  it("is too late once the session has ended, for every token of it", () => {
    for (const counter of [3, 2, 1]) {
      expect([counter, judge(counter, 1, { endedAt: new Date(REFRESHED) })]).toEqual([counter, "expired"]);
    }
  });

  it("never lets anything but the two newest tokens go on", () => {
    const moments = fc.integer({ min: 0, max: 31 * DAYS });
    fc.assert(
      fc.property(fc.nat(6), moments, moments, (counter, later, age) => {
        const verdict = judge(counter, later, { createdAt: REFRESHED - age });
        if (verdict === "rotate")
          expect([counter, later < 7 * DAYS, age + later < 30 * DAYS]).toEqual([3, true, true]);
        if (verdict === "repeat") expect([counter, later <= 10 * SECONDS]).toEqual([2, true]);
      }),
    );
  });
});

describe("a refresh token", () => {
  const tokens = createRefreshTokens("the secret of these tests");
  const rotation = fc.record({ sessionId: fc.uuid(), counter: fc.nat(2 ** 32 - 1) });

  it("reads back as what it was written for", () => {
    fc.assert(fc.property(rotation, (each) => expect(tokens.read(tokens.write(each))).toEqual(each)));
  });

  it("is the same one each time, so that a repeated answer gives no second token", () => {
    fc.assert(fc.property(rotation, (each) => expect(tokens.write(each)).toBe(tokens.write(each))));
  });

  it("is the same from one version to the next: nobody is signed out by an update", () => {
    const written = createRefreshTokens("kYzr0T4n9vQ1uS7xB3mW8dJ5hG2cL6pA").write({
      sessionId: "01a202a9-7840-7b21-8f3e-6c5d4b3a2918",
      counter: 7,
    });
    expect(written).toBe("tmr_AaICqXhAeyGPPmxdSzopGAAAAAdmWlgHb93IYAGbPHmB0iPvJk_juCIQESFEmAKtHqqOzA");
  });

  it("line 19: is null with one bit turned over anywhere", () => {
    fc.assert(
      fc.property(rotation, (each) => {
        const token = tokens.write(each);
        for (let bit = 0; bit < token.length * 8; bit += 1) {
          const bytes = Buffer.from(token);
          bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) ^ (1 << (bit & 7));
          expect([bit, tokens.read(bytes.toString("latin1"))]).toEqual([bit, null]);
        }
      }),
      { numRuns: 5 },
    );
  });

  it("line 19: is null when it is cut anywhere, lengthened or spelt otherwise", () => {
    const token = tokens.write({ sessionId: "01909a7e-0000-7000-8000-000000000000", counter: 3 });
    for (let length = 0; length < token.length; length += 1)
      expect(tokens.read(token.slice(0, length))).toBeNull();
    const spellings = [
      `${token}=`,
      `${token}A`,
      ` ${token}`,
      `${token}\n`,
      token.toUpperCase(),
      token.slice(4),
    ];
    for (const spelling of spellings) expect([spelling, tokens.read(spelling)]).toEqual([spelling, null]);
  });

  it("line 19: is null when its authentication belongs to another session or rotation", () => {
    fc.assert(
      fc.property(rotation, rotation, (one, other) => {
        fc.pre(one.sessionId !== other.sessionId || one.counter !== other.counter);
        const [mine, theirs] = [one, other].map((each) =>
          Buffer.from(tokens.write(each).slice(4), "base64url"),
        );
        if (!mine || !theirs) throw new Error("no tokens");
        const mixed = Buffer.concat([mine.subarray(0, 20), theirs.subarray(20)]);
        expect(tokens.read(`tmr_${mixed.toString("base64url")}`)).toBeNull();
      }),
    );
  });

  it("line 19: is null for random text and random bytes", () => {
    fc.assert(fc.property(fc.string({ unit: "binary" }), (text) => expect(tokens.read(text)).toBeNull()));
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 52, maxLength: 52 }), (bytes) => {
        expect(tokens.read(`tmr_${Buffer.from(bytes).toString("base64url")}`)).toBeNull();
      }),
    );
  });

  it("line 20: is null under another secret", () => {
    const elsewhere = createRefreshTokens("the secret of another mesh");
    fc.assert(fc.property(rotation, (each) => expect(elsewhere.read(tokens.write(each))).toBeNull()));
  });
});
