import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import type { AuditEntry } from "./audit.logic.ts";
import { createMailedTokens, LIFETIME_MS, type Purpose } from "./mailed-tokens.logic.ts";
import { createMailedTokenRepository } from "./mailed-tokens.repository.ts";
import { withoutTokens } from "./mailer.ts";
import { renderMail } from "./mails.logic.ts";
import { createMailRepository } from "./mails.repository.ts";
import { createOutbox, type OutgoingMail, retryDelay } from "./outbox.logic.ts";
import { createRecoveryLogic } from "./recovery.logic.ts";
import { unthrottled } from "./throttle.logic.ts";
import { createUserRepository, type UserRow } from "./users.repository.ts";

const NOW = Date.UTC(2026, 10, 22, 10);
const HOUR_MS = 3_600_000;
const mailedTokens = createMailedTokens("kYzr0T4n9vQ1uS7xB3mW8dJ5hG2cL6pA");
const ID = "01a202a9-7840-7b21-8f3e-6c5d4b3a2918";

let migrated: MigratedDatabase;
beforeAll(async () => {
  migrated = await createMigratedDatabase();
});
afterAll(() => migrated.drop());

let count = 0;
async function buildUser(fields: Partial<UserRow> = {}): Promise<UserRow> {
  count += 1;
  const user: UserRow = {
    id: `01a202a9-7840-7b21-8f3e-${String(count).padStart(12, "0")}`,
    email: `ada-${count}@example.test`,
    passwordHash: "$2b$04$old",
    name: "Ada",
    role: "user",
    timeZone: "UTC",
    locale: "en",
    emailVerified: false,
    disabledAt: null,
    createdAt: new Date(NOW),
    ...fields,
  };
  expect(await createUserRepository(migrated.database).insert(user)).toBe(true);
  return user;
}

/** The logic and an outbox on the database, with a clock of the test's own. */
function build(send: (mail: OutgoingMail, attempt: number) => Promise<void> = async () => {}, limit = 3) {
  const mails = createMailRepository(migrated.database);
  const time = { now: NOW };
  const clock = () => time.now;
  const audited: AuditEntry[] = [];
  const sent: OutgoingMail[] = [];
  const failures: number[] = [];
  const audit = async (entry: AuditEntry) => void audited.push(entry);
  const chosen: unknown[] = [];
  const woken: string[] = [];
  /** Happens while a password is hashed. */
  const meanwhile = { run: async () => {} };
  let attempts = 0;
  const recovery = createRecoveryLogic({
    mails,
    tokens: createMailedTokenRepository(migrated.database),
    mailedTokens,
    passwords: {
      async choose(password, who) {
        chosen.push([password, who]);
        await meanwhile.run();
        return `hash of ${password}`;
      },
    },
    throttle: unthrottled,
    audit,
    wake: () => woken.push("woken"),
    clock,
  });
  return {
    recovery,
    time,
    sent,
    audited,
    failures,
    chosen,
    woken,
    meanwhile,
    /** Lets the outbox do what is due now. */
    async deliver() {
      const outbox = createOutbox({
        mails,
        mailedTokens,
        send: async (mail) => {
          attempts += 1;
          await send(mail, attempts);
          sent.push(mail);
        },
        pages: { reset_password: "https://app.example/reset", verify_email: "https://app.example/verify" },
        limit,
        audit,
        onRefused: () => {},
        onError: (_error, attempt) => failures.push(attempt),
        onOutage: () => {},
        clock,
      });
      outbox.start();
      await until(async () => (await due(time.now)) === 0);
      await outbox.stop();
    },
  };
}

const due = async (now: number): Promise<number> => {
  const [rows] = await migrated.database.query("SELECT 1 FROM auth.mails WHERE next_attempt_at <= $1", {
    bind: [new Date(now)],
  });
  return rows.length;
};

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (let looks = 0; !(await holds()); looks++) {
    if (looks === 800) throw new Error("what the test waits for does not happen");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const tokenOf = ({ link }: { link: string } = { link: "" }): string => link.split("#token=")[1] ?? "";

describe("a mailed token", () => {
  const token = mailedTokens.write("reset_password", ID);

  test("is read by who wrote it, for the purpose it was written for", () => {
    expect(mailedTokens.read("reset_password", token)).toBe(ID);
    expect(mailedTokens.read("verify_email", token)).toBeNull();
    const others = createMailedTokens("another secret, another secret 12345");
    expect(others.read("reset_password", token)).toBeNull();
  });

  test("is the same from one version to the next: what was mailed works after an update", () => {
    const { write } = createMailedTokens("kYzr0T4n9vQ1uS7xB3mW8dJ5hG2cL6pA");
    expect([write("reset_password", ID), write("verify_email", ID)]).toEqual([
      "tmm_AaICqXhAeyGPPmxdSzopGPobt5fm_Y-tnRoBWxsuWtlcFzn31nqY2b-ujUE0TcEG",
      "tmm_AaICqXhAeyGPPmxdSzopGCfo6FL0VJA-FgQbKlNno4QyPgFXLwTLf1bms8moiRia",
    ]);
  });

  test("can't be altered anywhere, nor spelt in another way", () => {
    for (let index = 0; index < token.length; index++) {
      const other = token[index] === "A" ? "B" : "A";
      expect(
        mailedTokens.read("reset_password", token.slice(0, index) + other + token.slice(index + 1)),
      ).toBeNull();
    }
    for (const spelt of [
      `${token}=`,
      ` ${token}`,
      token.slice(0, -1),
      `${token}A`,
      token.replace("tmm_", "tmr_"),
      "",
    ])
      expect(mailedTokens.read("reset_password", spelt)).toBeNull();
  });
});

describe("asking for a mail", () => {
  test("line 21: does the same work for an unknown address: one row, nothing read", async () => {
    const { email } = await buildUser();
    const { recovery, deliver } = build();
    const work = [];
    for (const each of [email, "nobody@example.test"]) {
      const statements = migrated.countStatements();
      work.push([await recovery.forgotPassword({ email: each }, {}), statements()]);
    }
    expect(work[0]).toEqual(work[1]);
    expect(work[0]?.[1]).toBe(1);
    await deliver();
  });

  test("is noted with whom and why not", async () => {
    const client = { address: "203.0.113.7", userAgent: "Test" };
    const user = await buildUser();
    const disabled = await buildUser({ disabledAt: new Date(NOW) });
    const { recovery, deliver, audited, sent } = build();
    for (const email of [user.email, disabled.email, "nobody@example.test"])
      await recovery.forgotPassword({ email }, client);
    await deliver();
    expect(sent.map(({ to }) => to)).toEqual([user.email]);
    const event = "password_reset_request";
    expect(audited).toHaveLength(3);
    expect(audited).toEqual(
      expect.arrayContaining([
        { event, result: "success", userId: user.id, client },
        { event, result: "failure", userId: disabled.id, client, detail: { reason: "disabled" } },
        { event, result: "failure", client, detail: { reason: "unknown address" } },
      ]),
    );
  });

  test("line 21: is answered with three mails, and with the next as soon as none of their links works", async () => {
    const { email } = await buildUser();
    const { recovery, deliver, sent, time } = build();
    const ask = async (times: number) => {
      for (let round = 0; round < times; round++) await recovery.forgotPassword({ email }, {});
      await deliver();
    };
    await ask(5);
    expect(sent).toHaveLength(3);
    time.now = NOW + LIFETIME_MS.reset_password - 1;
    await ask(1);
    expect(sent).toHaveLength(3);
    time.now = NOW + LIFETIME_MS.reset_password;
    await ask(1);
    expect(sent).toHaveLength(4);
  });

  test("to verify is answered three times an hour", async () => {
    const { email } = await buildUser();
    const { recovery, deliver, sent, time } = build();
    for (const [wait, mails] of [
      [0, 3],
      [HOUR_MS - 1, 3],
      [1, 4],
    ] as const) {
      time.now += wait;
      for (let round = 0; round < (wait === 0 ? 5 : 1); round++) await recovery.sendVerification(email, {});
      await deliver();
      expect(sent).toHaveLength(mails);
    }
  });

  test("to verify sends nothing to who has", async () => {
    const { email } = await buildUser({ emailVerified: true });
    const { recovery, deliver, sent, audited } = build();
    await recovery.sendVerification(email, {});
    await deliver();
    expect(sent).toEqual([]);
    expect(audited).toEqual([]);
  });
});

describe.each<[Purpose, string, number]>([
  ["reset_password", "30 minutes", 30 * 60_000],
  ["verify_email", "24 hours", 24 * HOUR_MS],
])("line 21: a %s token", (purpose, _words, lifetime) => {
  const use = (recovery: ReturnType<typeof build>["recovery"], token: string) =>
    purpose === "reset_password"
      ? recovery.resetPassword({ token, newPassword: "a new password" }, {})
      : recovery.verifyEmail({ token }, {});

  async function mailed() {
    const user = await buildUser();
    const built = build();
    if (purpose === "reset_password") await built.recovery.forgotPassword({ email: user.email }, {});
    else await built.recovery.sendVerification(user.email, {});
    await built.deliver();
    return { ...built, user, token: tokenOf(built.sent[0]) };
  }

  test(`works until the last millisecond of its ${_words}, and no longer`, async () => {
    expect(LIFETIME_MS[purpose]).toBe(lifetime);
    const { recovery, time, token } = await mailed();
    time.now = NOW + lifetime;
    await expect(use(recovery, token)).rejects.toMatchObject({ type: "invalid_mailed_token" });
    time.now = NOW + lifetime - 1;
    await expect(use(recovery, token)).resolves.toBeNull();
    await expect(use(recovery, token)).rejects.toMatchObject({ type: "invalid_mailed_token" });
  });

  test("is worth nothing once the account is gone", async () => {
    const { recovery, token, user } = await mailed();
    await migrated.database.query("DELETE FROM auth.users WHERE id = $1", { bind: [user.id] });
    await expect(use(recovery, token)).rejects.toMatchObject({ type: "invalid_mailed_token" });
  });
});

describe("using a link", () => {
  const client = { address: "203.0.113.7", userAgent: "Test" };
  const refused = {
    type: "invalid_mailed_token",
    message: "The link has been used, has expired or was never one.",
  };

  async function mailed(ask: (recovery: ReturnType<typeof build>["recovery"], email: string) => unknown) {
    const user = await buildUser();
    const built = build();
    await ask(built.recovery, user.email);
    await built.deliver();
    built.audited.length = 0;
    return { ...built, user, token: tokenOf(built.sent[0]) };
  }
  const forgot = () => mailed((recovery, email) => recovery.forgotPassword({ email }, {}));

  test("begins with waking the outbox, and an answer that tells nothing", async () => {
    const { recovery, woken, deliver } = build();
    expect(await recovery.forgotPassword({ email: "nobody@example.test" }, {})).toEqual({
      detail: "If there is an account with this address, a mail is on its way to it.",
    });
    await recovery.sendVerification("nobody@example.test", {});
    expect(woken).toEqual(["woken", "woken"]);
    await deliver();
  });

  test("to reset sets the password that was chosen for its address, and is noted", async () => {
    const { recovery, audited, chosen, token, user } = await forgot();
    await recovery.resetPassword({ token, newPassword: "a new one" }, client);
    expect(chosen).toEqual([["a new one", { email: user.email, field: "newPassword" }]]);
    expect((await createUserRepository(migrated.database).find(user.id))?.passwordHash).toBe(
      "hash of a new one",
    );
    expect(audited).toEqual([{ event: "password_reset", result: "success", userId: user.id, client }]);
  });

  test("that does not work any more hashes nothing and is noted nowhere", async () => {
    const { recovery, audited, chosen, token, time } = await forgot();
    time.now = NOW + LIFETIME_MS.reset_password;
    const reset = { newPassword: "a new one" };
    await expect(recovery.resetPassword({ ...reset, token }, client)).rejects.toMatchObject(refused);
    await expect(recovery.resetPassword({ ...reset, token: "tmm_" }, client)).rejects.toMatchObject(refused);
    expect({ audited, chosen }).toEqual({ audited: [], chosen: [] });
  });

  test("that was used while the password was hashed sets none, and is noted as a failure", async () => {
    const { recovery, audited, token, user, meanwhile } = await forgot();
    meanwhile.run = async () => {
      const use = "UPDATE auth.mailed_tokens SET used_at = now() WHERE user_id = $1";
      await migrated.database.query(use, { bind: [user.id] });
    };
    const reset = recovery.resetPassword({ token, newPassword: "a new one" }, client);
    await expect(reset).rejects.toMatchObject(refused);
    expect((await createUserRepository(migrated.database).find(user.id))?.passwordHash).toBe("$2b$04$old");
    expect(audited).toEqual([{ event: "password_reset", result: "failure", userId: user.id, client }]);
  });

  test("to verify an address is noted", async () => {
    const { recovery, audited, token, user } = await mailed((each, email) =>
      each.sendVerification(email, {}),
    );
    await recovery.verifyEmail({ token }, client);
    expect(audited).toEqual([{ event: "email_verify", result: "success", userId: user.id, client }]);
    await expect(recovery.verifyEmail({ token }, client)).rejects.toMatchObject(refused);
    expect(audited).toHaveLength(1);
  });
});

describe("a verification", () => {
  test("counts for the address that was mailed, not for one that came after", async () => {
    const user = await buildUser();
    const { recovery, deliver, sent } = build();
    await recovery.sendVerification(user.email, {});
    await deliver();
    const changed = { bind: [user.id, `other-${user.email}`] };
    await migrated.database.query("UPDATE auth.users SET email = $2 WHERE id = $1", changed);
    await expect(recovery.verifyEmail({ token: tokenOf(sent[0]) }, {})).rejects.toMatchObject({
      type: "invalid_mailed_token",
    });
    expect((await createUserRepository(migrated.database).find(user.id))?.emailVerified).toBe(false);
  });
});

describe("the outbox", () => {
  const down = async () => {
    throw new Error("down");
  };

  test("waits twice as long after each failure, up to an hour", () => {
    expect([1, 2, 3, 11, 12, 1000].map(retryDelay)).toEqual([2e3, 4e3, 8e3, 2_048e3, HOUR_MS, HOUR_MS]);
  });

  test("tries again, with the same id, until the mail was taken", async () => {
    const { email } = await buildUser();
    const ids: string[] = [];
    const { recovery, deliver, time, sent, failures } = build(async (mail, attempt) => {
      ids.push(mail.id);
      if (attempt <= 3) await down();
    });
    await recovery.forgotPassword({ email }, {});
    for (const wait of [0, 2_000, 4_000, 8_000]) {
      time.now += wait - 1;
      expect(await due(time.now)).toBe(0);
      time.now += 1;
      await deliver();
    }
    expect(failures).toEqual([1, 2, 3]);
    expect(sent).toHaveLength(1);
    expect(new Set(ids).size).toBe(1);
    expect(ids).toHaveLength(4);
  });

  test("gives a mail up when its link has expired", async () => {
    const { email } = await buildUser();
    const { recovery, deliver, time, sent, failures } = build(down);
    await recovery.forgotPassword({ email }, {});
    await deliver();
    time.now += LIFETIME_MS.reset_password;
    await deliver();
    expect({ sent, failures }).toEqual({ sent: [], failures: [1] });
    expect(await due(NOW + 10 * HOUR_MS)).toBe(0);
  });

  test("sends a link no more that was used or replaced by a reset", async () => {
    const { email } = await buildUser();
    const links: string[] = [];
    const { recovery, deliver, time, failures } = build(async ({ link }) => {
      links.push(link);
      await down();
    });
    await recovery.forgotPassword({ email }, {});
    await deliver();
    await recovery.resetPassword({ token: tokenOf({ link: links[0] ?? "" }), newPassword: "x" }, {});
    time.now += 2_000;
    await deliver();
    expect(failures).toEqual([1]);
    expect(await due(NOW + HOUR_MS)).toBe(0);
  });

  test("of several replicas, one sends a mail", async () => {
    const { email } = await buildUser();
    const replicas = Array.from({ length: 4 }, () => build());
    for (let round = 0; round < 3; round++) await replicas[0]?.recovery.forgotPassword({ email }, {});
    await Promise.all(replicas.map(({ deliver }) => deliver()));
    const ids = replicas.flatMap(({ sent }) => sent.map(({ id }) => id));
    expect(ids).toHaveLength(3);
    expect(new Set(ids).size).toBe(3);
  });

  test("forgets links a day after they expired", async () => {
    const { id, email } = await buildUser();
    const { recovery, deliver } = build();
    await recovery.forgotPassword({ email }, {});
    await deliver();
    const later = build();
    later.time.now = NOW + LIFETIME_MS.reset_password + 24 * HOUR_MS + 1;
    const outlived = await buildUser();
    await later.recovery.forgotPassword({ email: outlived.email }, {});
    await later.deliver();
    await later.recovery.sendVerification(outlived.email, {});
    await later.deliver();
    const [rows] = await migrated.database.query("SELECT 1 FROM auth.mailed_tokens WHERE user_id = $1", {
      bind: [id],
    });
    expect(rows).toEqual([]);
  });
});

describe("what a mail says", () => {
  test("is escaped where it is HTML", () => {
    const { html, text } = renderMail("reset_password", {
      locale: "en",
      link: `https://x/?a=1&b="><script>'`,
    });
    expect(html).toContain("https://x/?a=1&amp;b=&quot;&gt;&lt;script&gt;&#39;");
    expect(html).not.toContain("<script");
    expect(text).toContain(`https://x/?a=1&b="><script>'`);
  });

  test.each<[Purpose, string]>([
    ["reset_password", "en"],
    ["reset_password", "ru"],
    ["verify_email", "en"],
    ["verify_email", "ru"],
  ])("has all its parts: %s in %s", (purpose, locale) => {
    const { subject, text, html } = renderMail(purpose, { locale, link: "https://x/#token=t" });
    const cyrillic = (words: string) => /[а-я]/i.test(words);
    for (const part of [subject, text, html]) expect(cyrillic(part)).toBe(locale === "ru");
    expect(subject).not.toMatch(/[\r\n]/);
    expect(text.match(/https:\/\/x\/#token=t/g)).toHaveLength(1);
    expect(html.match(/href="https:\/\/x\/#token=t"/g)).toHaveLength(2);
  });

  test("is kept out of the log when a server quotes it", () => {
    const token = mailedTokens.write("reset_password", ID);
    expect(withoutTokens(new Error(`554 spam: https://x/#token=${token}\r\n`))).not.toContain(
      token.slice(4, 20),
    );
  });
});
