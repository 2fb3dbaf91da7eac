import { setTimeout as delay } from "node:timers/promises";
import { AUTH_SECRET, CLIENT, NOW, recordAudit } from "../../tests/support/auth-factories.ts";
import { createMailedTokens, LIFETIME_MS } from "./mailed-tokens.logic.ts";
import type { DueMail, MailedTokenRow, MailRequest, MailRow } from "./mails.repository.ts";
import { createOutbox, type Mailer, type OutgoingMail } from "./outbox.logic.ts";

const USER = "01a202a9-7840-7b21-8f3e-6c5d4b3a2903";
const TOKEN = "01a202a9-7840-7b21-8f3e-6c5d4b3a2904";
const MAIL = "01a202a9-7840-7b21-8f3e-6c5d4b3a2905";
const HOUR_MS = 3_600_000;
const mailedTokens = createMailedTokens(AUTH_SECRET);
const at = (ms: number) => new Date(NOW + ms);

const user = {
  id: USER,
  email: "ada@example.test",
  passwordHash: "hash of right",
  name: "Ada",
  role: "user" as const,
  timeZone: "UTC",
  locale: "en",
  emailVerified: false,
  disabledAt: null,
  createdAt: at(0),
};

const mailRow = (fields: Partial<MailRow> = {}): MailRow => ({
  id: MAIL,
  purpose: "reset_password",
  email: user.email,
  client: CLIENT,
  requestedAt: at(-7),
  tokenId: null,
  attempts: 0,
  nextAttemptAt: at(0),
  ...fields,
});

const request = (fields: Partial<MailRequest> = {}): MailRequest => ({
  mail: mailRow(),
  user,
  recent: 0,
  ...fields,
});

const dueMail = ({
  token = {},
  mail = {},
  reader = {},
}: {
  token?: Partial<MailedTokenRow>;
  mail?: Partial<MailRow>;
  reader?: Partial<typeof user>;
} = {}): DueMail => ({
  mail: mailRow({ tokenId: TOKEN, ...mail }),
  token: {
    id: TOKEN,
    userId: USER,
    purpose: "reset_password",
    email: user.email,
    createdAt: at(0),
    expiresAt: at(HOUR_MS),
    usedAt: null,
    ...token,
  },
  user: { ...user, ...reader },
});

const running: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  for (const outbox of running.splice(0)) await outbox.stop();
  jest.useRealTimers();
  jest.restoreAllMocks();
});

/** An outbox over a table that the test fills, with a clock of the test's own. */
function build(send: Mailer = async () => {}) {
  const time = { now: NOW };
  const { audit, audited } = recordAudit();
  const requests: MailRequest[] = [];
  const due: DueMail[] = [];
  const seen = {
    looks: 0,
    moments: [] as unknown[],
    decided: [] as (MailedTokenRow | null)[],
    answers: [] as (Date | null)[],
    forgotten: [] as Date[],
    sent: [] as OutgoingMail[],
    refused: [] as string[],
    errors: [] as unknown[],
    outages: [] as string[],
  };
  const broken = { error: undefined as Error | undefined };
  const outbox = createOutbox({
    mails: {
      async takeRequest(moment, decide) {
        seen.looks += 1;
        if (broken.error) throw broken.error;
        const next = requests.shift();
        if (!next) return false;
        seen.moments.push({ now: moment.now, since: moment.since("reset_password") });
        seen.decided.push(decide(next));
        return true;
      },
      async takeDue(now, deliver) {
        const next = due.shift();
        if (!next) return false;
        seen.moments.push(now);
        seen.answers.push(await deliver(next));
        return true;
      },
      forgetTokens: async (before) => void seen.forgotten.push(before),
    },
    mailedTokens,
    async send(mail, signal) {
      seen.sent.push(mail);
      await send(mail, signal);
    },
    pages: { reset_password: "https://app.example/reset", verify_email: "https://app.example/verify" },
    limit: 3,
    audit,
    onRefused: (error) => seen.refused.push(error.message),
    onError: (error, attempts) => seen.errors.push([String(error), attempts]),
    onOutage: (error) => seen.outages.push(String(error)),
    clock: () => time.now,
  });
  running.push(outbox);
  return { outbox, time, requests, due, seen, audited, broken };
}

/** Long enough, in turns of the loop, for everything that waits for no timer. */
async function settle(): Promise<void> {
  for (let turn = 0; turn < 50; turn++) await new Promise<void>((resolve) => setImmediate(resolve));
}

/** Timers may be the test's own; this one never is. */
async function until(holds: () => boolean): Promise<void> {
  for (let looks = 0; !holds(); looks++) {
    if (looks === 800) throw new Error("what the test waits for does not happen");
    await delay(5);
  }
}

const fakeTimeouts = () =>
  jest.useFakeTimers({
    doNotFake: ["Date", "setImmediate", "clearImmediate", "nextTick", "queueMicrotask", "performance"],
  });

describe("a request for a mail", () => {
  async function decide(asked: MailRequest) {
    const { outbox, requests, seen, audited } = build();
    requests.push(asked);
    outbox.start();
    await until(() => seen.decided.length === 1);
    await outbox.stop();
    return { token: seen.decided[0], audited, moment: seen.moments[0] };
  }
  const event = "password_reset_request";

  it("becomes a token that lives from the moment of the request", async () => {
    const { token, audited, moment } = await decide(request());
    expect(token).toEqual({
      id: expect.any(String),
      userId: USER,
      purpose: "reset_password",
      email: user.email,
      createdAt: at(0),
      expiresAt: at(LIFETIME_MS.reset_password - 7),
      usedAt: null,
    });
    expect(moment).toEqual({ now: at(0), since: at(-LIFETIME_MS.reset_password) });
    expect(audited).toEqual([{ event, result: "success", client: CLIENT, userId: USER }]);
  });

  it("to verify an address does too, and is not noted", async () => {
    const { token, audited } = await decide(request({ mail: mailRow({ purpose: "verify_email" }) }));
    expect(token).toMatchObject({
      purpose: "verify_email",
      expiresAt: at(LIFETIME_MS.verify_email - 7),
    });
    expect(audited).toEqual([]);
  });

  it("is granted to who verified their address, when it is for a password", async () => {
    expect((await decide(request({ user: { ...user, emailVerified: true } }))).token).not.toBeNull();
  });

  it("is granted as often as an hour allows", async () => {
    expect((await decide(request({ recent: 2 }))).token).not.toBeNull();
  });

  it.each<[string, Partial<MailRequest>, { userId?: string }]>([
    ["unknown address", { user: null }, {}],
    ["disabled", { user: { ...user, disabledAt: at(0) } }, { userId: USER }],
    ["too many", { recent: 3 }, { userId: USER }],
  ])("is dropped, and noted why: %s", async (reason, fields, who) => {
    const { token, audited } = await decide(request(fields));
    expect(token).toBeNull();
    expect(audited).toEqual([{ event, result: "failure", client: CLIENT, ...who, detail: { reason } }]);
  });

  it("to verify what is verified is dropped", async () => {
    const verified = { ...user, emailVerified: true };
    const { token } = await decide(request({ user: verified, mail: mailRow({ purpose: "verify_email" }) }));
    expect(token).toBeNull();
  });
});

describe("a mail that is due", () => {
  async function deliver(mail: DueMail, send?: Mailer) {
    const { outbox, due, seen } = build(send);
    due.push(mail);
    outbox.start();
    await until(() => seen.answers.length === 1);
    await outbox.stop();
    return { ...seen, answer: seen.answers[0] };
  }

  it.each([
    ["reset_password", "https://app.example/reset", "en", "Choose a new password for Taskmesh"],
    ["verify_email", "https://app.example/verify", "ru", "Подтвердите адрес почты для Taskmesh"],
  ] as const)("to %s is sent with its link", async (purpose, page, locale, subject) => {
    const { sent, answer, errors, moments } = await deliver(
      dueMail({ token: { purpose }, reader: { locale } }),
    );
    const link = `${page}#token=${mailedTokens.write(purpose, TOKEN)}`;
    expect(sent).toEqual([
      {
        id: MAIL,
        to: user.email,
        link,
        subject,
        text: expect.stringContaining(link),
        html: expect.stringContaining(link),
      },
    ]);
    expect(answer).toBeNull();
    expect({ errors, moments }).toEqual({ errors: [], moments: [at(0)] });
  });

  it("works until the last millisecond of its link", async () => {
    expect((await deliver(dueMail({ token: { expiresAt: at(1) } }))).sent).toHaveLength(1);
  });

  it.each([
    ["was used", dueMail({ token: { usedAt: at(-1) } })],
    ["has expired", dueMail({ token: { expiresAt: at(0) } })],
    ["was for another address", dueMail({ reader: { email: "other@example.test" } })],
  ])("is dropped when its link %s", async (_why, mail) => {
    const { sent, answer } = await deliver(mail);
    expect({ sent, answer }).toEqual({ sent: [], answer: null });
  });

  it("that could not be sent is tried again later, and told", async () => {
    const { answer, errors } = await deliver(dueMail({ mail: { attempts: 2 } }), async () => {
      throw new Error("down");
    });
    expect(answer).toEqual(at(8_000));
    expect(errors).toEqual([["Error: down", 3]]);
  });

  it("is given twenty seconds", async () => {
    const timeout = new AbortController();
    const asked = jest.spyOn(AbortSignal, "timeout").mockReturnValue(timeout.signal);
    const { answer, errors } = await deliver(dueMail(), async (_mail, signal) => {
      timeout.abort(new Error("too slow"));
      signal.throwIfAborted();
    });
    expect(asked.mock.calls).toEqual([[20_000]]);
    expect(errors).toEqual([["Error: too slow", 1]]);
    expect(answer).toEqual(at(2_000));
  });
});

describe("the outbox", () => {
  it("sends two mails at a time, however often it is started", async () => {
    const finish: (() => void)[] = [];
    const { outbox, due, seen } = build(() => new Promise((resolve) => finish.push(resolve)));
    for (let n = 0; n < 5; n++) due.push(dueMail());
    outbox.start();
    outbox.start();
    await until(() => finish.length === 2);
    await settle();
    expect(finish).toHaveLength(2);
    for (let n = 0; n < 5; n++) {
      await until(() => finish.length > n);
      finish[n]?.();
    }
    await until(() => seen.answers.length === 5);
    expect(due).toEqual([]);
  });

  it("forgets old links at its first look, then once an hour", async () => {
    const { outbox, seen, time } = build();
    const look = async () => {
      const before = seen.looks;
      outbox.wake();
      jest.advanceTimersByTime(200);
      await until(() => seen.looks === before + 2);
      await settle();
    };
    outbox.start();
    await settle();
    fakeTimeouts();
    time.now += HOUR_MS - 1;
    await look();
    expect(seen.forgotten).toEqual([at(-24 * HOUR_MS)]);
    time.now += 1;
    await look();
    expect(seen.forgotten).toEqual([at(-24 * HOUR_MS), at(-23 * HOUR_MS)]);
  });

  it("tells once of a database that is down, which is no mail's failure, and looks again", async () => {
    const { outbox, seen, broken, requests } = build();
    const look = async () => {
      const before = seen.looks;
      outbox.wake();
      await until(() => seen.looks >= before + 2);
      await settle();
    };
    broken.error = new Error("no database");
    outbox.start();
    await settle();
    await look();
    expect(seen).toMatchObject({ outages: ["Error: no database"], errors: [] });
    broken.error = undefined;
    requests.push(request());
    await look();
    expect(seen.decided).toHaveLength(1);
    broken.error = new Error("none again");
    await look();
    expect(seen.outages).toEqual(["Error: no database", "Error: none again"]);
  });

  it("looks again by itself for what others left", async () => {
    const { outbox, seen, requests } = build();
    outbox.start();
    await until(() => seen.looks === 2);
    requests.push(request());
    await settle();
    expect(seen.decided).toEqual([]);
    await until(() => seen.decided.length === 1);
  });
});

describe("being woken", () => {
  it.each([
    ["soonest", 0, 50],
    ["latest", 1, 200],
  ])("is felt at a time that tells nothing: at the %s", async (_name, random, ms) => {
    jest.spyOn(Math, "random").mockReturnValue(random);
    const { outbox, seen, requests } = build();
    outbox.start();
    await settle();
    fakeTimeouts();
    requests.push(request());
    outbox.wake();
    jest.advanceTimersByTime(ms - 1);
    await settle();
    expect(seen.decided).toEqual([]);
    jest.advanceTimersByTime(1);
    await until(() => seen.decided.length === 1);
  });

  it("many times at once is being woken once", async () => {
    const { outbox } = build();
    fakeTimeouts();
    for (let n = 0; n < 5; n++) outbox.wake();
    expect(jest.getTimerCount()).toBe(1);
    jest.advanceTimersByTime(200);
    outbox.wake();
    expect(jest.getTimerCount()).toBe(1);
  });
});

describe("a stopping outbox", () => {
  it("waits for the mail on its way, and takes no other", async () => {
    let finish = () => {};
    const { outbox, due, seen } = build(
      () =>
        new Promise((resolve) => {
          finish = resolve;
        }),
    );
    due.push(dueMail());
    outbox.start();
    await until(() => seen.sent.length === 1);
    due.push(dueMail());
    let stopped = false;
    const stopping = outbox.stop().then(() => {
      stopped = true;
    });
    await settle();
    expect(stopped).toBe(false);
    finish();
    await stopping;
    expect(seen.answers).toEqual([null]);
    expect(due).toHaveLength(1);
  });

  it("cuts one that takes longer than three seconds: it is tried again", async () => {
    const { outbox, due, seen } = build(
      (_mail, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(new Error("cut")));
        }),
    );
    due.push(dueMail());
    outbox.start();
    await until(() => seen.sent.length === 1);
    fakeTimeouts();
    const stopping = outbox.stop();
    jest.advanceTimersByTime(2_999);
    await settle();
    expect(seen.answers).toEqual([]);
    jest.advanceTimersByTime(1);
    await stopping;
    expect(seen.answers).toEqual([at(2_000)]);
    expect(jest.getTimerCount()).toBe(0);
  });

  it("leaves no timer behind", async () => {
    const { outbox } = build();
    outbox.start();
    await settle();
    fakeTimeouts();
    await outbox.stop();
    expect(jest.getTimerCount()).toBe(0);
  });

  it("that never ran stops at once", async () => {
    await expect(build().outbox.stop()).resolves.toBeUndefined();
  });
});
