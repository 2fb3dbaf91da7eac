import bcrypt from "bcrypt";
import type { HashQueue } from "./hash-queue.logic.ts";
import { createPasswords } from "./passwords.logic.ts";

const COST = 4;
const SEVENTY_TWO = "a".repeat(72);
const unbounded: Pick<HashQueue, "assertRoom" | "run"> = { assertRoom: () => {}, run: (work) => work() };

let passwords: ReturnType<typeof createPasswords>;
beforeEach(() => {
  passwords = createPasswords({ cost: COST, maxBytes: 72, queue: unbounded });
});
afterEach(() => jest.restoreAllMocks());

describe("a password", () => {
  it("matches its own hash and no other", async () => {
    const hash = await passwords.hash("correct horse");

    expect(await passwords.matches("correct horse", hash)).toBe(true);
    for (const other of ["correct hors", "correct horse ", "Correct horse", ""]) {
      expect([other, await passwords.matches(other, hash)]).toEqual([other, false]);
    }
  });

  it("line 2: of 72 bytes with anything after it is refused, though bcrypt takes it for the same", async () => {
    for (const stored of [SEVENTY_TWO, "é".repeat(36)]) {
      const hash = await passwords.hash(stored);
      expect(await passwords.matches(stored, hash)).toBe(true);
      for (const tail of ["a", "é", " ", "x".repeat(1000)]) {
        expect(await bcrypt.compare(stored + tail, hash)).toBe(true);
        expect([tail, await passwords.matches(stored + tail, hash)]).toEqual([tail, false]);
      }
    }
  });

  it("line 8: costs one comparison at the same cost, whatever is wrong", async () => {
    const hash = await passwords.hash(SEVENTY_TWO);
    const compare = jest.spyOn(bcrypt, "compare");
    const cases: [string, string, string | null][] = [
      ["right", SEVENTY_TWO, hash],
      ["wrong", "wrong", hash],
      ["too long", `${SEVENTY_TWO}a`, hash],
      ["no such user", SEVENTY_TWO, null],
      ["no such user and too long", `${SEVENTY_TWO}a`, null],
      ["the password of nobody", "nobody's password", null],
    ];
    for (const [name, password, against] of cases) {
      compare.mockClear();
      const matches = await passwords.matches(password, against);
      const rounds = compare.mock.calls.map(([, compared]) => bcrypt.getRounds(compared));
      expect([name, matches, rounds]).toEqual([name, name === "right", [COST]]);
    }
  });

  it("costs the same rounds together, whatever a hash was made at", async () => {
    const dear = createPasswords({ cost: 6, maxBytes: 72, queue: unbounded });
    const compare = jest.spyOn(bcrypt, "compare");
    const roundsOf = async (stored: string | null): Promise<number> => {
      compare.mockClear();
      expect(await dear.matches("wrong", stored)).toBe(false);
      return compare.mock.calls.reduce((sum, [, compared]) => sum + 2 ** bcrypt.getRounds(compared), 0);
    };
    const hashes = await Promise.all([4, 5, 6].map((cost) => bcrypt.hash("right", cost)));
    for (const stored of [...hashes, null]) expect(await roundsOf(stored)).toBe(2 ** 6);
    // bcrypt takes no time for a hash that is none.
    for (const [, compared] of compare.mock.calls) expect(compared).toMatch(/^\$2b\$0\d\$[./\w]{53}$/);

    dear.expectCost(8);
    for (const stored of [...hashes, null]) expect(await roundsOf(stored)).toBe(2 ** 8);
    dear.expectCost(4);
    expect(await roundsOf(null)).toBe(2 ** 8);
  });

  it("line 11: is right at any cost, and its hash is outdated at any other than the configured one", async () => {
    for (const cost of [4, 5]) {
      const hash = await bcrypt.hash("right", cost);
      expect(await passwords.matches("right", hash)).toBe(true);
      expect(passwords.isOutdated(hash)).toBe(cost !== COST);
    }
  });

  it("that is weak is not chosen, and the field that it came in is told", async () => {
    const choice = passwords.choose("taskmesh", { email: "ada@example.com", field: "newPassword" });
    await expect(choice).rejects.toMatchObject({
      code: 422,
      data: { violations: [{ path: ["newPassword"], code: "contains_product_name" }] },
    });
    const hash = await passwords.choose("correct horse", { email: "ada@example.com", field: "password" });
    expect(await passwords.matches("correct horse", hash)).toBe(true);
  });

  it("waits its turn, for one place, in the queue", async () => {
    let places = 0;
    const queue: Pick<HashQueue, "assertRoom" | "run"> = {
      ...unbounded,
      run(work) {
        places++;
        return work();
      },
    };
    const queued = createPasswords({ cost: COST, maxBytes: 72, queue });
    await queued.hash("right");
    await queued.matches("right", null);
    expect(places).toBe(2);
  });

  it("is hashed with its own salt each time", async () => {
    const [one, other] = await Promise.all([passwords.hash("same"), passwords.hash("same")]);
    expect(one).not.toBe(other);
  });
});
