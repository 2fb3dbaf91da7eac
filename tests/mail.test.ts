import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { problems } from "../lib/errors.ts";
import type { User } from "../services/auth/accounts.schema.ts";
import { buildEmail, buildPerson, httpFor, PASSWORD, signIn } from "./support/client.ts";
import { query } from "./support/database.ts";
import {
  linkIn,
  type Mail,
  type MailServer,
  NOBODY,
  startMailServer,
  tokenIn,
} from "./support/mail-server.ts";
import { areaUnderCurve } from "./support/mann-whitney.ts";
import { scrape } from "./support/prometheus.ts";
import {
  freePort,
  type RunningSystem,
  ready,
  start,
  startMesh,
  startOneProcess,
  stopProcess,
} from "./support/system.ts";

const NEW_PASSWORD = "another staple for the horse";
const RESET = /^(Choose a new password|Новый пароль)/;
const VERIFY = /^(Confirm your|Подтвердите)/;
const RETRIES = 30_000;

/** A system that sends mail, and what it printed. */
async function startMailing(
  startSystem: typeof startOneProcess,
  server: MailServer,
  settings: Record<string, string> = {},
) {
  const port = String(await freePort());
  const folder = mkdtempSync(join(tmpdir(), "taskmesh-mail-"));
  const output = join(folder, "output");
  const system = await startSystem({
    PORT: port,
    PUBLIC_URL: `http://127.0.0.1:${port}`,
    SMTP_URL: server.url,
    MAIL_FROM: "Taskmesh <no-reply@tasks.example>",
    LOG_LEVEL: "trace",
    TEST_OUTPUT: output,
    ...settings,
  });
  return {
    ...system,
    printed: () => readFileSync(output, "utf8"),
    async stop() {
      await system.stop();
      rmSync(folder, { recursive: true });
    },
  };
}

type Mailing = Awaited<ReturnType<typeof startMailing>>;

describe.each([
  ["one process", startOneProcess],
  ["mesh", startMesh],
])("mail, %s", (_mode, startSystem) => {
  let server: MailServer;
  let system: Mailing;
  let anyone: ReturnType<typeof httpFor>;

  beforeAll(async () => {
    server = await startMailServer();
    system = await startMailing(startSystem, server);
    anyone = httpFor(system);
  }, 60_000);

  afterAll(async () => {
    await system?.stop();
    await server?.stop();
  });

  const forgot = (email: string) => anyone.post("/auth/password/forgot", { email });
  async function counted(): Promise<{ sent: number; failed: number; refused: number }> {
    const auth = system.processes.find(({ name }) => name === "auth" || name === "all");
    const { value } = await scrape(auth?.opsUrl ?? "");
    const of = (result: string): number => value("taskmesh_mails_total", { result });
    return { sent: of("sent"), failed: of("failed"), refused: of("refused") };
  }
  const reset = (token: string, newPassword = NEW_PASSWORD) =>
    anyone.post("/auth/password/reset", { token, newPassword });

  async function askForReset(email: string): Promise<Mail> {
    expect((await forgot(email)).status).toBe(202);
    return server.find(email, RESET);
  }

  test("a new account's address is verified by the link in its first mail, once", async () => {
    const person = await buildPerson(system);
    const mail = await server.find(person.email, VERIFY);
    expect(mail.recipients).toEqual([person.email]);
    expect(mail.from?.text).toBe('"Taskmesh" <no-reply@tasks.example>');
    expect(linkIn(mail).href).toMatch(`${system.baseUrl}/account/verify#token=tmm_`);
    expect((await person.http.get<User>("/auth/me")).body.emailVerified).toBe(false);

    const token = tokenIn(mail);
    expect((await anyone.post("/auth/email/verify", { token })).status).toBe(204);
    expect((await person.http.get<User>("/auth/me")).body.emailVerified).toBe(true);
    expect(await anyone.post("/auth/email/verify", { token })).toMatchObject({
      status: 422,
      body: { code: "invalid_mailed_token" },
    });
  });

  test("line 21: a reset sets the password, ends every session and verifies the address", async () => {
    const person = await buildPerson(system);
    const elsewhere = await signIn(system, person);
    const mail = await askForReset(person.email);
    expect(linkIn(mail).href).toMatch(`${system.baseUrl}/account/reset#token=tmm_`);
    expect(await reset(tokenIn(mail))).toMatchObject({ status: 204 });

    expect((await person.http.get("/auth/me")).status).toBe(401);
    for (const { refreshToken } of [person.tokens, elsewhere])
      expect((await anyone.post("/auth/refresh", { refreshToken })).status).toBe(401);
    expect((await anyone.post("/auth/login", person)).status).toBe(422); // more fields than the two
    const { email } = person;
    expect((await anyone.post("/auth/login", { email, password: PASSWORD })).status).toBe(401);
    const { user } = await signIn(system, { email, password: NEW_PASSWORD });
    expect(user.emailVerified).toBe(true);
    const events = await query(
      system.databaseUrl,
      "SELECT event, result FROM auth.audit_events WHERE user_id = $1 AND event LIKE 'password_reset%' ORDER BY id",
      [user.id],
    );
    expect(events).toEqual([
      { event: "password_reset_request", result: "success" },
      { event: "password_reset", result: "success" },
    ]);
  });

  test("line 21: a reset deletes the person's API tokens, felt by the next request; a change keeps them", async () => {
    const [person, other] = [await buildPerson(system), await buildPerson(system)];
    const newToken = async ({ http }: typeof person): Promise<ReturnType<typeof httpFor>> => {
      const { body } = await http.post<{ token: string }>("/auth/tokens", {
        name: "Script",
        scopes: ["tasks:read"],
      });
      return httpFor(system, body.token);
    };
    const [script, another] = [await newToken(person), await newToken(other)];
    const change = { currentPassword: PASSWORD, newPassword: "yet another staple" };
    expect((await person.http.post("/auth/password", change)).status).toBe(204);
    expect((await script.get("/tasks")).status).toBe(200);

    const mail = await askForReset(person.email);
    expect(mail.text).toContain("deletes your API tokens");
    expect((await reset(tokenIn(mail))).status).toBe(204);
    expect(await script.get("/tasks")).toMatchObject({ status: 401, body: { code: "invalid_token" } });
    expect((await another.get("/tasks")).status).toBe(200);
    const { accessToken } = await signIn(system, { email: person.email, password: NEW_PASSWORD });
    expect((await httpFor(system, accessToken).get("/auth/tokens")).body).toEqual({ items: [] });
  });

  test("line 21: of twenty resets with one token at once, one succeeds", async () => {
    const { email } = await buildPerson(system);
    const token = tokenIn(await askForReset(email));
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, index) => reset(token, `${NEW_PASSWORD} ${index}`)),
    );
    const won = answers.flatMap(({ status }, index) => (status === 204 ? [index] : []));
    expect(won).toHaveLength(1);
    for (const { status, body } of answers.filter((_, index) => index !== won[0]))
      expect({ status, body }).toMatchObject({ status: 422, body: { code: "invalid_mailed_token" } });
    await signIn(system, { email, password: `${NEW_PASSWORD} ${won[0]}` });
  });

  test("line 21: of twenty verifications with one token at once, one succeeds", async () => {
    const { email } = await buildPerson(system);
    const token = tokenIn(await server.find(email, VERIFY));
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => anyone.post("/auth/email/verify", { token })),
    );
    expect(answers.map(({ status }) => status).sort()).toEqual([204, ...Array(19).fill(422)]);
  });

  test("two tokens of one person at once: one succeeds, the other is spent", async () => {
    const { email } = await buildPerson(system);
    await askForReset(email);
    await forgot(email);
    await eventually(() => expect(server.to(email).filter(isReset)).toHaveLength(2));
    const tokens = server.to(email).filter(isReset).map(tokenIn);
    const answers = await Promise.all(tokens.map((token) => reset(token)));
    expect(answers.map(({ status }) => status).sort()).toEqual([204, 422]);
  });

  test("a password that is refused leaves the token as good as it was", async () => {
    const { email } = await buildPerson(system);
    const token = tokenIn(await askForReset(email));
    for (const bad of ["short", "password123", email]) {
      const answer = await reset(token, bad);
      expect(answer).toMatchObject({ status: 422, body: { code: "validation_failed" } });
      expect(answer.body).toMatchObject({ errors: [{ pointer: "/newPassword" }] });
    }
    expect((await reset(token)).status).toBe(204);
  });

  test("line 20: nothing in the database is, or leads to, a token that was mailed", async () => {
    const { email } = await buildPerson(system);
    const mails = [await server.find(email, VERIFY), await askForReset(email)];
    server.be("refuse");
    const offer = server.nextOffer();
    await forgot(email);
    await offer;
    server.be("take");
    const rows = await query(
      system.databaseUrl,
      "SELECT row_to_json(t)::text AS t FROM auth.mailed_tokens t UNION ALL SELECT row_to_json(m)::text FROM auth.mails m",
    );
    const dump = JSON.stringify(rows);
    expect(dump).toContain(email);
    for (const token of mails.map(tokenIn)) {
      expect(dump).not.toContain(token);
      // Id and MAC: with the id alone, which the database has, nobody can make the other half.
      expect(dump).not.toContain(token.slice(-43));
    }
    const [{ id } = {}] = await query(
      system.databaseUrl,
      "SELECT id FROM auth.mailed_tokens WHERE email = $1 AND purpose = 'reset_password'",
      [email],
    );
    const bytes = Buffer.from(String(id).replaceAll("-", ""), "hex");
    for (const guess of [String(id), `tmm_${bytes.toString("base64url")}`, withMac(bytes)])
      expect((await reset(guess)).body).toMatchObject({ code: "invalid_mailed_token" });
  });

  test("a token of one kind is none of the other", async () => {
    const { email, tokens } = await buildPerson(system);
    const verify = tokenIn(await server.find(email, VERIFY));
    const forReset = tokenIn(await askForReset(email));
    for (const token of [
      verify,
      tokens.refreshToken,
      tokens.accessToken.slice(0, 256),
      "",
      "tmm_",
      `${forReset}A`,
    ])
      expect((await reset(token)).status).toBe(422);
    expect((await anyone.post("/auth/email/verify", { token: forReset })).status).toBe(422);
    expect((await anyone.post("/auth/refresh", { refreshToken: forReset })).status).toBe(401);
    expect((await reset(forReset)).status).toBe(204);
  });

  test("line 21: an unknown address gets the same answer, in status, headers and body, and no mail", async () => {
    const known = await buildPerson(system);
    const unknown = buildEmail();
    const answers = [];
    for (const email of [known.email, unknown, known.email, unknown]) {
      const { status, headers, body } = await forgot(email);
      answers.push(JSON.stringify([status, body, [...headers.keys()].sort()]));
    }
    expect(new Set(answers).size).toBe(1);
    expect(await server.find(known.email, RESET)).toBeDefined();
    await outboxIsEmpty(system);
    expect(server.to(unknown)).toEqual([]);
  });

  test("the first mail is in the language that the browser likes best", async () => {
    for (const [accepted, locale, words] of [
      ["ru-RU,ru;q=0.9,en-US;q=0.8,en;q=0.7", "ru-RU", /^Подтвердите/],
      ["en;q=0.5, ru", "ru", /^Подтвердите/],
      ["ru;q=0, de-at", "de-AT", /^Confirm/],
      ["*", "en", /^Confirm/],
      ["", "en", /^Confirm/],
      ["no_tag_at_all, ru;q=0.5", "en", /^Confirm/],
      [`${"x-".repeat(40)}ru`, "en", /^Confirm/],
    ] as const) {
      const email = buildEmail();
      const registered = await anyone.post<User>(
        "/auth/register",
        { email, password: PASSWORD },
        { headers: { "Accept-Language": accepted } },
      );
      expect([accepted, registered.status, registered.body.locale]).toEqual([accepted, 201, locale]);
      expect((await server.find(email, VERIFY)).subject).toMatch(words);
    }
  });

  test("mails are in the person's language, as text and as HTML, and load nothing", async () => {
    for (const [locale, language, words] of [
      ["en-GB", "en", /Choose a new password/],
      ["de", "en", /Choose a new password/],
      ["ru", "ru", /Задать новый пароль/],
      ["ru-RU", "ru", /Задать новый пароль/],
    ] as const) {
      const { email, http } = await buildPerson(system);
      expect((await http.patch("/auth/me", { locale })).status).toBe(200);
      const { text, html, subject, headers } = await askForReset(email);
      expect(text).toMatch(words);
      expect(String(html)).toMatch(words);
      expect(String(html)).toContain(`<html lang="${language}">`);
      expect(String(html)).not.toMatch(/<img|<link|<script|url\(|src=/i);
      expect(subject).toMatch(language === "ru" ? /^Новый пароль/ : /^Choose/);
      expect(headers.get("auto-submitted")).toBe("auto-generated");
    }
  });

  test("neither a name nor an address can add a header, a recipient or a text", async () => {
    const email = buildEmail();
    const name = 'Ada\u2028Bcc: eve@evil.example <b onclick=x>http://evil.example</b> "';
    const registered = await anyone.post("/auth/register", { email, password: PASSWORD, name });
    expect(registered.status).toBe(201);
    const { raw, headers, recipients } = await server.find(email, VERIFY);
    expect(recipients).toEqual([email]);
    expect([...headers.keys()].sort()).toEqual(
      [
        "auto-submitted",
        "content-type",
        "date",
        "from",
        "message-id",
        "mime-version",
        "subject",
        "to",
      ].sort(),
    );
    expect(raw).not.toMatch(/evil|onclick/);
    for (const address of [
      "a@example.test\r\nBcc: eve@evil.example",
      "a@example.test,eve@evil.example",
      "a@example.test eve@evil.example",
      "<eve@evil.example>",
      '"Ada" <eve@evil.example>',
      '"a\r\nb"@example.test',
      "a\0b@example.test",
    ]) {
      expect((await forgot(address)).status).toBe(422);
      expect((await anyone.post("/auth/register", { email: address, password: PASSWORD })).status).toBe(422);
    }
    const group = "o'reilly+tag=x&y@example.test";
    await anyone.post("/auth/register", { email: group, password: PASSWORD });
    expect((await server.find(group, VERIFY)).recipients).toEqual([group]);
  });

  test("a disabled account gets no mail, and its token does nothing", async () => {
    const { email, user } = await buildPerson(system);
    const token = tokenIn(await askForReset(email));
    await query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [user.id]);
    expect((await reset(token)).status).toBe(422);
    expect((await forgot(email)).status).toBe(202);
    await outboxIsEmpty(system);
    expect(server.to(email).filter(isReset)).toHaveLength(1);
  });

  test("a mail that the server takes its time for arrives once", async () => {
    const { email } = await buildPerson(system);
    await server.find(email, VERIFY);
    await outboxIsEmpty(system);
    server.be("dawdle");
    await forgot(email);
    await server.find(email, RESET);
    server.be("take");
    await outboxIsEmpty(system);
    expect(server.to(email).filter(isReset)).toHaveLength(1);
  });

  test(
    "an account can be deleted while a mail to it is on its way",
    async () => {
      const { email, http, password } = await buildPerson(system);
      await server.find(email, VERIFY);
      server.be("hang");
      const offer = server.nextOffer();
      await forgot(email);
      await offer;
      expect((await http.delete("/auth/me", { password })).status).toBe(204);
      server.be("take");
      await server.stop();
      await server.restart();
      await outboxIsEmpty(system);
      expect(server.to(email).filter(isReset)).toEqual([]);
    },
    RETRIES,
  );

  test(
    "mail waits while the server is down or refuses it, and arrives once; the metrics count both",
    async () => {
      const { email } = await buildPerson(system);
      await server.find(email, VERIFY);
      await outboxIsEmpty(system);
      const before = await counted();
      await server.stop();
      expect((await forgot(email)).status).toBe(202);
      await eventually(async () => expect(await waitingMails(system)).toMatchObject([{ attempts: 1 }]));
      server.be("refuse");
      const offer = server.nextOffer();
      await server.restart();
      await offer;
      server.be("take");
      const mail = await server.find(email, RESET);
      await outboxIsEmpty(system);
      expect(server.to(email).filter(isReset)).toHaveLength(1);
      expect((await reset(tokenIn(mail))).status).toBe(204);
      const after = await counted();
      expect(after.sent - before.sent).toBe(1);
      expect(after.failed - before.failed).toBeGreaterThanOrEqual(2);
    },
    RETRIES,
  );

  test("a mail to a mailbox that there is not is given up at once", async () => {
    const before = await counted();
    const email = `${NOBODY}${buildEmail()}`;
    expect((await anyone.post("/auth/register", { email, password: PASSWORD })).status).toBe(201);
    await eventually(async () => expect((await counted()).refused).toBe(before.refused + 1));
    await outboxIsEmpty(system);
    expect(await counted()).toEqual({ ...before, refused: before.refused + 1 });
  });

  test("line 7: no token was printed, nor any password or hash, at the highest level of logging", () => {
    const printed = system.printed();
    expect(printed.includes("password_reset_request")).toBe(true);
    expect(printed.includes("could not be sent")).toBe(true);
    const SECRET = /.*(tm[mrp]_[\w-]|#token=|correct horse|another staple|eyJ[\w-]+\.|\$2[aby]\$).*/;
    expect(SECRET.exec(printed)?.[0]).toBeUndefined();
  });

  test("a mail that was on its way when auth was killed arrives once", async () => {
    const { email } = await buildPerson(system);
    await server.find(email, VERIFY);
    server.be("hang");
    const offer = server.nextOffer();
    await forgot(email);
    await offer;
    const [killed] = system.processes.filter(({ name }) => name === "auth" || name === "all");
    if (!killed) throw new Error("no auth");
    await stopProcess(killed.child, "SIGKILL");
    server.be("take");
    const args = killed.name === "all" ? ["scripts/start.ts"] : ["scripts/service.ts", "auth"];
    const next = await start(killed.name, args, system.env);
    system.processes.push(next);
    await ready(next.child, `${next.opsUrl}/health/ready`);
    const mail = await server.find(email, RESET);
    await outboxIsEmpty(system);
    expect(server.to(email).filter(isReset)).toHaveLength(1);
    expect(linkIn(mail).hash).toMatch(/^#token=tmm_/);
  }, 60_000);
});

describe("with limits and REQUIRE_VERIFIED_EMAIL", () => {
  let server: MailServer;
  let system: Mailing;
  let anyone: ReturnType<typeof httpFor>;

  beforeAll(async () => {
    server = await startMailServer();
    system = await startMailing(startOneProcess, server, {
      RATE_LIMIT: "on",
      REQUIRE_VERIFIED_EMAIL: "on",
      RESET_URL: "https://app.example/new-password",
    });
    anyone = httpFor(system);
  }, 60_000);

  afterAll(async () => {
    await system?.stop();
    await server?.stop();
  });

  test("who has not verified the address can't sign in, and gets another link", async () => {
    const email = buildEmail();
    await anyone.post("/auth/register", { email, password: PASSWORD });
    await server.find(email, VERIFY);
    await query(system.databaseUrl, "UPDATE auth.users SET locale = 'ru' WHERE email = $1", [email]);

    expect((await anyone.post("/auth/login", { email, password: "wrong" })).body).toMatchObject({
      code: "invalid_credentials",
    });
    const refused = await anyone.post("/auth/login", { email, password: PASSWORD });
    expect(refused).toMatchObject({
      status: 403,
      body: { code: "email_not_verified", title: problems.email_not_verified.title },
    });
    const mail = await server.find(email, /^Подтвердите/);
    expect(server.to(email)).toHaveLength(2);
    expect(mail.text).toMatch(/Подтвердить адрес/);
    expect((await anyone.post("/auth/email/verify", { token: tokenIn(mail) })).status).toBe(204);
    await signIn(system, { email, password: PASSWORD });
  });

  test("nobody gets more than three mails of a kind at a time, and whoever asks isn't told", async () => {
    const email = buildEmail();
    await anyone.post("/auth/register", { email, password: PASSWORD });
    // Of so many from one network all are answered.
    const answers = await Promise.all(
      Array.from({ length: 5 }, () => anyone.post("/auth/password/forgot", { email })),
    );
    expect(new Set(answers.map(({ status, body }) => JSON.stringify([status, body]))).size).toBe(1);
    await outboxIsEmpty(system);
    expect(server.to(email).filter(isReset)).toHaveLength(3);
    const [mail] = server.to(email).filter(isReset);
    expect(mail && linkIn(mail).href).toMatch(/^https:\/\/app\.example\/new-password#token=tmm_/);
  });
});

// In one process, where less lies between that could hide it.
test("line 21: an unknown address gets its answer in the same time", async () => {
  const server = await startMailServer();
  const system = await startMailing(startOneProcess, server, { LOG_LEVEL: "warn" });
  try {
    const { email: known } = await buildPerson(system);
    const unknown = buildEmail();
    const times = new Map([known, unknown].map((email) => [email, [] as number[]]));
    const anyone = httpFor(system);
    for (let round = 0; round < 300; round++) {
      for (const email of round % 2 ? [known, unknown] : [unknown, known]) {
        const startedAt = performance.now();
        await anyone.post("/auth/password/forgot", { email });
        times.get(email)?.push(performance.now() - startedAt);
      }
    }
    const auc = areaUnderCurve(times.get(known) ?? [], times.get(unknown) ?? []);
    expect({ auc, alike: auc > 0.4 && auc < 0.6 }).toMatchObject({ alike: true });
  } finally {
    await system.stop();
    await server.stop();
  }
}, 60_000);

describe("without SMTP_URL", () => {
  test("the link is in the log, and works", async () => {
    const server = await startMailServer();
    const system = await startMailing(startOneProcess, server, { SMTP_URL: "", MAIL_FROM: "" });
    try {
      const { email } = await buildPerson(system);
      await httpFor(system).post("/auth/password/forgot", { email });
      const token = await eventually(() => {
        const [, found] = /\/account\/reset#token=(tmm_[\w-]+)/.exec(system.printed()) ?? [];
        if (found === undefined) throw new Error("no link yet");
        return found;
      });
      const answer = await httpFor(system).post("/auth/password/reset", { token, newPassword: NEW_PASSWORD });
      expect(answer.status).toBe(204);
    } finally {
      await system.stop();
      await server.stop();
    }
  }, 60_000);
});

const isReset = ({ subject }: Mail): boolean => RESET.test(subject ?? "");

const withMac = (id: Buffer): string => `tmm_${Buffer.concat([id, Buffer.alloc(32)]).toString("base64url")}`;

const waitingMails = ({ databaseUrl }: Pick<RunningSystem, "databaseUrl">) =>
  query(databaseUrl, "SELECT attempts FROM auth.mails");

const outboxIsEmpty = (system: Mailing): Promise<void> =>
  eventually(async () => expect(await waitingMails(system)).toEqual([]));

/** Asks again until it holds: the outbox tells nobody when it is done. */
async function eventually<T>(check: () => T | Promise<T>): Promise<T> {
  const deadline = Date.now() + 25_000;
  for (;;) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > deadline) throw error;
      await delay(50);
    }
  }
}
