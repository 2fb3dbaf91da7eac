import type { Sequelize } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { query } from "../../tests/support/database.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import type { AuditEntry } from "./audit.logic.ts";
import { budgets, createThrottle } from "./throttle.logic.ts";
import { createThrottleRepository } from "./throttles.repository.ts";
import { createUserRepository } from "./users.repository.ts";

let db: MigratedDatabase;
/** Of two replicas. */
let pools: Sequelize[];
beforeAll(async () => {
  db = await createMigratedDatabase();
  pools = [db.database, db.connect()];
});
afterAll(() => db.drop());

const wrong = async () => false;
const right = async () => true;
const SECRET = "nD2oX7wQ5kLr8sVy1tZb4uCe6gHj9pMa";
const MINUTE = 60_000;

let now: number;
let audited: AuditEntry[];
/** Throttles as two replicas have them, on the test's clock. */
let one: ReturnType<typeof createThrottle>;
let other: ReturnType<typeof createThrottle>;

beforeEach(() => {
  now = Date.parse("2026-11-22T10:00:00Z");
  audited = [];
  const [first, second] = pools.map((pool) =>
    createThrottle({
      throttles: createThrottleRepository(pool),
      audit: async (entry) => void audited.push(entry),
      secret: SECRET,
      clock: () => now,
    }),
  );
  if (!first || !second) throw new Error("two replicas");
  [one, other] = [first, second];
});

let count = 0;
const newEmail = () => `person-${++count}-${uuidv7()}@example.test`;
/** Addresses that no other test uses. */
const newAddress = () => `198.${18 + (++count >> 16)}.${(count >> 8) & 255}.${count & 255}`;

const signIn = (
  email: string,
  address: string,
  compare = wrong,
  { by = one, userId = undefined as string | undefined } = {},
) => by.signIn({ email, userId, client: { address } }, compare);

/** The answer of an attempt: whether it matched, or the seconds to wait. */
const tryIt = (attempt: Promise<boolean>): Promise<boolean | number> =>
  attempt.catch((error) => {
    expect(error).toMatchObject({ code: 429, type: "too_many_attempts" });
    return error.data.retryAfter;
  });

const times = (n: number, run: (index: number) => Promise<boolean>) =>
  Promise.all(Array.from({ length: n }, (_, index) => tryIt(run(index))));
const answered = (results: (boolean | number)[]) =>
  results.filter((each) => typeof each === "boolean").length;

async function buildUser(): Promise<{ id: string; email: string }> {
  const user = { id: uuidv7(), email: newEmail() };
  await createUserRepository(db.database).insert({
    ...user,
    passwordHash: "$2b$04$hash",
    name: "Ada",
    role: "user",
    timeZone: "UTC",
    locale: "en",
    emailVerified: false,
    disabledAt: null,
    createdAt: new Date(now),
  });
  return user;
}

describe("guessing one account's password from one network", () => {
  it("is answered so many times, however many attempts come at once and by whichever replica", async () => {
    const [email, address] = [newEmail(), newAddress()];
    const results = await times(50, (index) =>
      signIn(email, address, wrong, { by: index % 2 ? one : other }),
    );
    expect(answered(results)).toBe(budgets.pair.burst);
  });

  it("is answered again after exactly the seconds that it was told, once", async () => {
    const [email, address] = [newEmail(), newAddress()];
    await times(budgets.pair.burst, () => signIn(email, address));
    now += 12_345;
    const seconds = await tryIt(signIn(email, address));
    expect(seconds).toBe(Math.ceil((MINUTE - 12_345) / 1000));
    now += (Number(seconds) - 1) * 1000;
    expect(await tryIt(signIn(email, address))).toBe(1);
    now += 1000;
    expect(await tryIt(signIn(email, address))).toBe(false);
    expect(await tryIt(signIn(email, address))).toBeGreaterThan(1);
  });

  it("never has to wait for longer than one more takes, also when another node's clock is some milliseconds ahead", async () => {
    const [email, address] = [newEmail(), newAddress()];
    await times(budgets.pair.burst, () => signIn(email, address));
    now -= 20;
    expect(await tryIt(signIn(email, address))).toBe(60);
  });

  it("costs nothing while it is refused: there is no lock that grows", async () => {
    const [email, address] = [newEmail(), newAddress()];
    await times(budgets.pair.burst + 100, () => signIn(email, address));
    expect(await tryIt(signIn(email, address))).toBe(60);
    now += budgets.pair.burst * MINUTE;
    expect(answered(await times(50, () => signIn(email, address)))).toBe(budgets.pair.burst);
  });

  it("is one network for all of an IPv6 /64, and for an IPv4 address in IPv6 form", async () => {
    const [email, v4] = [newEmail(), newAddress()];
    const results = await times(20, (index) => signIn(email, `2001:db8:${count}:1::${index}`));
    expect(answered(results)).toBe(budgets.pair.burst);
    const mixed = await times(20, (index) => signIn(newEmail(), index % 2 ? v4 : `::ffff:${v4}`));
    expect(answered(mixed)).toBe(20);
    expect(answered(await times(20, () => signIn(newEmail(), v4)))).toBe(budgets.network.burst - 20);
  });
});

describe("asking for links to a new password", () => {
  const ask = (email: string, address: string, by = one) =>
    by.link({ email, client: { address } }).then(() => true);

  it("is answered so many times for one account, one network, and one account from one network", async () => {
    const [email, address] = [newEmail(), newAddress()];
    const { linkPair, linkAccount, linkNetwork } = budgets;
    const each = (index: number) => (index % 2 ? one : other);
    const fromOne = await times(50, (index) => ask(email, address, each(index)));
    expect(answered(fromOne)).toBe(linkPair.burst);
    const fromMany = await times(50, (index) => ask(email, newAddress(), each(index)));
    expect(answered(fromMany)).toBe(linkAccount.burst - linkPair.burst);
    const forMany = await times(50, (index) => ask(newEmail(), address, each(index)));
    expect(answered(forMany)).toBe(linkNetwork.burst - linkPair.burst);
  });

  it("is never refused for more than a minute where nobody asked before", async () => {
    const email = newEmail();
    await times(200, () => ask(email, newAddress()));
    expect(await tryIt(ask(email, newAddress()))).toBe(60);
    now += MINUTE;
    expect(await tryIt(ask(email, newAddress()))).toBe(true);
  });

  it("takes nothing from signing in, and signing in nothing from it", async () => {
    const [email, address] = [newEmail(), newAddress()];
    await times(50, () => ask(email, address));
    expect(answered(await times(50, () => signIn(email, address)))).toBe(budgets.pair.burst);
    const [another, place] = [newEmail(), newAddress()];
    await times(50, () => signIn(another, place));
    expect(answered(await times(50, () => ask(another, place)))).toBe(budgets.linkPair.burst);
  });

  it("is written down when it is refused", async () => {
    const client = { address: newAddress() };
    await times(budgets.linkPair.burst + 1, () => ask("same@example.test", client.address));
    expect(audited).toEqual([
      { event: "throttle", result: "failure", client, detail: { of: "password reset" } },
    ]);
  });
});

describe("an attempt", () => {
  it("with the right password costs nothing", async () => {
    const [email, address] = [newEmail(), newAddress()];
    for (let round = 0; round < 100; round++) expect(await signIn(email, address, right)).toBe(true);
  });

  it("that could not be compared costs nothing", async () => {
    const [email, address] = [newEmail(), newAddress()];
    const overloaded = () => Promise.reject(new Error("overloaded"));
    for (let round = 0; round < 100; round++)
      await expect(signIn(email, address, overloaded)).rejects.toThrow("overloaded");
  });

  it("that is refused is never compared, and is audited", async () => {
    const [user, address] = [await buildUser(), newAddress()];
    await times(budgets.pair.burst, () => signIn(user.email, address));
    const compare = jest.fn(right);
    await tryIt(signIn(user.email, address, compare, { userId: user.id }));
    expect(compare).not.toHaveBeenCalled();
    expect(audited).toEqual([
      {
        event: "throttle",
        result: "failure",
        userId: user.id,
        client: { address },
        detail: { of: "sign-in" },
      },
    ]);
  });
});

describe("guessing one account's password from many networks", () => {
  it("is answered so many times in all", async () => {
    const email = newEmail();
    const results = await times(60, () => signIn(email, newAddress()));
    expect(answered(results)).toBe(budgets.account.burst);
  });

  it("does not stop the owner where they have signed in before, by whichever replica", async () => {
    const [user, home] = [await buildUser(), newAddress()];
    await signIn(user.email, home, right, { userId: user.id });
    await times(60, () => signIn(user.email, newAddress()));
    expect(await tryIt(signIn(user.email, newAddress(), right))).toBe(120);
    expect(await tryIt(signIn(user.email, home, wrong, { by: other, userId: user.id }))).toBe(false);
    expect(await tryIt(signIn(user.email, home, right, { by: other, userId: user.id }))).toBe(true);
  });

  it("is slowed there too once it comes from there", async () => {
    const [user, home] = [await buildUser(), newAddress()];
    await signIn(user.email, home, right, { userId: user.id });
    expect(answered(await times(50, () => signIn(user.email, home)))).toBe(budgets.pair.burst);
  });

  it("does stop them there when that was more than 90 days ago", async () => {
    const [user, home] = [await buildUser(), newAddress()];
    await signIn(user.email, home, right, { userId: user.id });
    now += 90 * 86_400_000;
    await times(60, () => signIn(user.email, newAddress()));
    expect(await tryIt(signIn(user.email, home, right, { userId: user.id }))).toBe(120);
  });
});

describe("guessing many accounts' passwords from one network", () => {
  it("is answered so many times in all", async () => {
    const address = newAddress();
    expect(answered(await times(100, () => signIn(newEmail(), address)))).toBe(budgets.network.burst);
    expect(await tryIt(signIn(newEmail(), address))).toBe(20);
  });

  it("leaves room for those who have signed in there before", async () => {
    const [user, address] = [await buildUser(), newAddress()];
    await signIn(user.email, address, right, { userId: user.id });
    await times(100, () => signIn(newEmail(), address));
    expect(await tryIt(signIn(user.email, address, right, { userId: user.id }))).toBe(true);
  });

  it("that is refused takes nothing from the accounts", async () => {
    const [email, address] = [newEmail(), newAddress()];
    await times(budgets.network.burst, () => signIn(newEmail(), address));
    await times(50, () => signIn(email, address));
    expect(answered(await times(50, () => signIn(email, newAddress())))).toBe(budgets.account.burst);
  });
});

describe("guessing the password of an account that is signed in", () => {
  it("is answered so many times, whatever goes on at the door", async () => {
    const user = await buildUser();
    await times(60, () => signIn(user.email, newAddress()));
    const results = await times(50, () => one.password({ userId: user.id, sessionId: null }, wrong));
    expect(answered(results)).toBe(budgets.password.burst);
  });
});

describe("who is refused", () => {
  it("is told how long to wait, and it is noted who tried to use their own password", async () => {
    const { id: userId } = await buildUser();
    const sessionId = uuidv7();
    await times(budgets.password.burst, () => one.password({ userId, sessionId }, wrong));
    await expect(one.password({ userId, sessionId }, right)).rejects.toMatchObject({
      type: "too_many_attempts",
      message: "Too many wrong attempts. Please wait.",
      data: { retryAfter: 60 },
    });
    expect(audited).toEqual([
      { event: "throttle", result: "failure", userId, sessionId, detail: { of: "password" } },
    ]);
  });

  it("without an address shares one network with all who have none", async () => {
    const anonymous = () => one.signIn({ email: newEmail(), userId: undefined, client: {} }, wrong);
    expect(answered(await times(budgets.network.burst + 9, anonymous))).toBe(budgets.network.burst);
    expect(audited[0]).toStrictEqual({
      event: "throttle",
      result: "failure",
      client: {},
      detail: { of: "sign-in" },
    });
  });
});

describe("the table", () => {
  it("holds neither e-mail nor network", async () => {
    const [user, address] = [await buildUser(), newAddress()];
    await signIn(user.email, address, right, { userId: user.id });
    await signIn(user.email, address);
    const rows = JSON.stringify([
      await query(db.url, "SELECT * FROM auth.throttles"),
      await query(db.url, "SELECT * FROM auth.familiar_networks"),
    ]);
    for (const secret of [user.email, address]) expect(rows).not.toContain(secret);
  });

  it("is swept of what is whole again, and of nothing else", async () => {
    const [email, address] = [newEmail(), newAddress()];
    await times(budgets.pair.burst, () => signIn(email, address));
    const [user, home] = [await buildUser(), newAddress()];
    await signIn(user.email, home, right, { userId: user.id });
    await one.sweep();
    expect(
      await query(db.url, "SELECT user_id FROM auth.familiar_networks WHERE user_id = $1", [user.id]),
    ).toEqual([{ user_id: user.id }]);
    expect(await tryIt(signIn(email, address))).toBe(60);
    now += 365 * 86_400_000;
    await one.sweep();
    for (const table of ["throttles", "familiar_networks"])
      expect(await query(db.url, `SELECT * FROM auth.${table}`)).toEqual([]);
  });
});
