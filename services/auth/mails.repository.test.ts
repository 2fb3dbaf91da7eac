import { v7 as uuidv7 } from "uuid";
import { NOW, storeMail, storeMailedToken, storeUser } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createMailRepository, type DueMail, type MailRequest, type MailRow } from "./mails.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());
beforeEach(() => db.database.query("DELETE FROM auth.mails"));

const at = (ms: number) => new Date(NOW + ms);
const moment = { now: at(0), since: () => at(-3_600_000) };

const storedMails = async () =>
  (
    await db.database.query(
      'SELECT id, token_id AS "tokenId", attempts, next_attempt_at AS "nextAttemptAt" FROM auth.mails ORDER BY id',
    )
  )[0];

/** Lets the test look at one request, and drops it. */
async function look(when = moment): Promise<MailRequest | undefined> {
  let seen: MailRequest | undefined;
  const taken = await createMailRepository(db.database).takeRequest(when, (request) => {
    seen = request;
    return null;
  });
  expect(taken).toBe(seen !== undefined);
  return seen;
}

describe("a request for a mail", () => {
  it("is taken once, with whose address it is", async () => {
    const user = await storeUser(db.database);
    const mails = createMailRepository(db.database);
    const mail: MailRow = {
      id: uuidv7(),
      purpose: "verify_email",
      email: user.email,
      client: { address: "203.0.113.7" },
      requestedAt: at(-5),
      tokenId: null,
      attempts: 0,
      nextAttemptAt: at(0),
    };
    await mails.insert(mail);
    expect(await look()).toEqual({ mail, user, recent: 0 });
    expect(await look()).toBeUndefined();
  });

  it("for nobody's address is taken as well", async () => {
    const mail = await storeMail(db.database, { email: "nobody@example.test" });
    expect(await look()).toEqual({ mail, user: null, recent: 0 });
  });

  it("that is not due yet waits, and the one that waits the longest comes first", async () => {
    const [late, early] = [
      await storeMail(db.database, { nextAttemptAt: at(-1) }),
      await storeMail(db.database, { nextAttemptAt: at(-2) }),
    ];
    await storeMail(db.database, { nextAttemptAt: at(1) });
    expect((await look())?.mail.id).toBe(early.id);
    expect((await look())?.mail.id).toBe(late.id);
    expect(await look()).toBeUndefined();
  });

  it("comes with how many of its kind its person was given since", async () => {
    const user = await storeUser(db.database);
    const { id: userId, email } = user;
    const given = { userId, createdAt: at(-3_599_999) };
    await storeMailedToken(db.database, given);
    await storeMailedToken(db.database, given);
    await storeMailedToken(db.database, { userId, createdAt: at(-3_600_000) });
    await storeMailedToken(db.database, { ...given, purpose: "verify_email" });
    await storeMailedToken(db.database, { createdAt: at(0) });
    await storeMail(db.database, { email });
    expect((await look())?.recent).toBe(2);
  });

  it("becomes a mail to be sent, together with its token", async () => {
    const user = await storeUser(db.database);
    const mail = await storeMail(db.database, { email: user.email });
    const mails = createMailRepository(db.database);
    const token = {
      id: uuidv7(),
      userId: user.id,
      purpose: "reset_password" as const,
      email: user.email,
      createdAt: at(0),
      expiresAt: at(9),
      usedAt: null,
    };
    const other = await storeMail(db.database, { nextAttemptAt: at(1) });
    expect(await mails.takeRequest(moment, () => token)).toBe(true);
    expect(await look()).toBeUndefined();
    expect(await storedMails()).toEqual([
      { id: mail.id, tokenId: token.id, attempts: 0, nextAttemptAt: at(0) },
      { id: other.id, tokenId: null, attempts: 0, nextAttemptAt: at(1) },
    ]);
    let due: DueMail | undefined;
    await mails.takeDue(at(0), async (given) => {
      due = given;
      return null;
    });
    expect(due).toEqual({ mail: { ...mail, tokenId: token.id }, token, user });
  });

  it("that is dropped takes no other with it", async () => {
    await storeMail(db.database);
    const other = await storeMail(db.database, { nextAttemptAt: at(1) });
    await look();
    expect(await storedMails()).toMatchObject([{ id: other.id }]);
  });

  it("stays as it was when its token can't be stored", async () => {
    const mail = await storeMail(db.database);
    const mails = createMailRepository(db.database);
    const token = await storeMailedToken(db.database);
    await expect(mails.takeRequest(moment, () => token)).rejects.toThrow();
    expect(await storedMails()).toMatchObject([{ id: mail.id, tokenId: null }]);
  });

  it("of one person at once counts the ones before", async () => {
    const user = await storeUser(db.database);
    for (let n = 0; n < 4; n++) await storeMail(db.database, { email: user.email });
    const counts: number[] = [];
    const takers = Array.from({ length: 4 }, () =>
      createMailRepository(db.database).takeRequest(moment, ({ recent }) => {
        counts.push(recent);
        const rest = { email: user.email, usedAt: null, createdAt: at(0), expiresAt: at(9) };
        return { id: uuidv7(), userId: user.id, purpose: "reset_password", ...rest };
      }),
    );
    expect(await Promise.all(takers)).toEqual([true, true, true, true]);
    expect(counts).toEqual([0, 1, 2, 3]);
  });
});

describe("a mail that is due", () => {
  /** One for somebody, whose token is known. */
  async function storeDue(fields: Partial<MailRow> = {}) {
    const token = await storeMailedToken(db.database);
    return { token, mail: await storeMail(db.database, { tokenId: token.id, ...fields }) };
  }
  const take = async (answer: Date | null, now = at(0)) => {
    const seen: DueMail[] = [];
    const taken = await createMailRepository(db.database).takeDue(now, async (due) => {
      seen.push(due);
      return answer;
    });
    return { taken, ids: seen.map(({ mail }) => mail.id) };
  };
  const nothing = { taken: false, ids: [] };

  it("is sent once when that worked", async () => {
    const { mail } = await storeDue();
    const { mail: later } = await storeDue({ nextAttemptAt: at(1) });
    expect(await take(null)).toEqual({ taken: true, ids: [mail.id] });
    expect(await take(null)).toEqual(nothing);
    expect(await storedMails()).toMatchObject([{ id: later.id }]);
  });

  it("is tried again when the sender says, and counted", async () => {
    const { mail } = await storeDue({ attempts: 2 });
    const { mail: later } = await storeDue({ nextAttemptAt: at(5) });
    expect(await take(at(10))).toEqual({ taken: true, ids: [mail.id] });
    expect(await storedMails()).toEqual([
      { id: mail.id, tokenId: mail.tokenId, attempts: 3, nextAttemptAt: at(10) },
      { id: later.id, tokenId: later.tokenId, attempts: 0, nextAttemptAt: at(5) },
    ]);
    expect(await take(null, at(4))).toEqual(nothing);
  });

  it("comes before those that wait for less long, and requests don't come at all", async () => {
    const { mail: late } = await storeDue({ nextAttemptAt: at(-1) });
    const { mail: early } = await storeDue({ nextAttemptAt: at(-2) });
    await storeMail(db.database, { nextAttemptAt: at(-3) });
    expect([...(await take(null)).ids, ...(await take(null)).ids]).toEqual([early.id, late.id]);
    expect(await take(null)).toEqual(nothing);
  });

  it("is dropped unsent when its token is gone", async () => {
    const { token } = await storeDue();
    await db.database.query("DELETE FROM auth.users WHERE id = $1", { bind: [token.userId] });
    expect(await take(null)).toEqual({ taken: true, ids: [] });
    expect(await storedMails()).toEqual([]);
  });

  it("is one sender's while it is on its way", async () => {
    const { mail } = await storeDue();
    await createMailRepository(db.database).takeDue(at(0), async () => {
      expect(await take(null)).toEqual(nothing);
      return at(10);
    });
    expect(await take(null, at(10))).toEqual({ taken: true, ids: [mail.id] });
  });

  it("stays when its sender fails", async () => {
    const { mail } = await storeDue();
    const failing = createMailRepository(db.database).takeDue(at(0), async () => {
      throw new Error("the sender");
    });
    await expect(failing).rejects.toThrow("the sender");
    expect(await take(null)).toEqual({ taken: true, ids: [mail.id] });
  });
});

it("requests and mails are taken by one connection, in one transaction", async () => {
  const alone = createMailRepository(db.connect({ max: 1 }));
  const { id: userId, email } = await storeUser(db.database);
  await storeMail(db.database, { email });
  await storeMail(db.database, { email });
  const token = { id: uuidv7(), userId, email, usedAt: null, createdAt: at(0), expiresAt: at(9) };
  expect(await alone.takeRequest(moment, () => ({ ...token, purpose: "reset_password" }))).toBe(true);
  expect(await alone.takeRequest(moment, () => null)).toBe(true);
  expect(await alone.takeDue(at(0), async () => at(1))).toBe(true);
  expect(await alone.takeDue(at(1), async () => null)).toBe(true);
  expect(await storedMails()).toEqual([]);
});

it("links are forgotten that expired before a moment, and no others", async () => {
  await db.database.query("DELETE FROM auth.mailed_tokens");
  await storeMailedToken(db.database, { expiresAt: at(-1) });
  const kept = await storeMailedToken(db.database, { expiresAt: at(0) });
  await createMailRepository(db.database).forgetTokens(at(0));
  expect((await db.database.query("SELECT id FROM auth.mailed_tokens"))[0]).toEqual([{ id: kept.id }]);
});
