import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { createMailedTokens, type Purpose } from "../services/auth/mailed-tokens.logic.ts";
import { openBrowser, openWatchedPage, type Watched } from "./support/browser.ts";
import { buildPerson, httpFor, type Person, signIn } from "./support/client.ts";
import { query } from "./support/database.ts";
import { systems } from "./support/systems.ts";

/** What the pages looked like when the last run had opened them. */
const screenshot = (name: string): string => join(tmpdir(), `taskmesh-${name}.png`);

// A browser gets slow where other test files use all of the machine.
jest.setTimeout(120_000);

// Not in both modes: the pages come from the gateway's memory, and what they call is tested in both elsewhere.
const oneProcess = systems.filter(([mode]) => mode === "one process");

describe.each(oneProcess)("a person who follows a mailed link (%s)", (_mode, system) => {
  const anyone = httpFor(system);
  let browser: Browser;
  beforeAll(async () => {
    browser = await openBrowser();
  });
  afterAll(() => browser?.close());

  /** The token of a link, as auth would mail it. */
  async function mailedToken({ email, user }: Person, purpose: Purpose): Promise<string> {
    const [{ id } = {}] = await query(
      system.databaseUrl,
      `INSERT INTO auth.mailed_tokens (id, user_id, purpose, email, created_at, expires_at)
       VALUES (gen_random_uuid(), $1, $2, $3, now(), now() + interval '5 minutes') RETURNING id`,
      [user.id, purpose, email],
    );
    return createMailedTokens(system.env.AUTH_SECRET ?? "").write(purpose, String(id));
  }

  async function open(path: string, locale = "en-GB"): Promise<{ page: Page; watched: Watched }> {
    const opened = await openWatchedPage(browser, { locale });
    await opened.page.goto(system.baseUrl + path);
    return opened;
  }

  /** Nothing from elsewhere, nothing refused by the policy, and no token in any address. */
  function expectQuiet({ requests, errors }: Watched): void {
    expect(requests.map(({ origin }) => origin)).toEqual(requests.map(() => new URL(system.baseUrl).origin));
    for (const { pathname, search } of requests) expect(pathname + search).not.toContain("tmm_");
    // The browser's own line about an answer that is no success.
    expect(errors.filter((error) => !/status of 422/.test(error))).toEqual([]);
  }

  test("sets a new password, after one that was refused", async () => {
    const person = await buildPerson(system);
    const token = await mailedToken(person, "reset_password");
    const { page, watched } = await open(`/account/reset#token=${token}`);
    expect(page.url()).toBe(`${system.baseUrl}/account/reset`);
    await page.screenshot({ path: screenshot("reset") });
    await page.getByLabel("New password").fill("password123");
    await page.getByRole("button").click();
    await page.getByRole("alert").getByText("Please choose another one").waitFor();
    await page.screenshot({ path: screenshot("reset-refused") });
    await page.getByLabel("New password").fill("a stable for the horse");
    await page.getByRole("button").click();
    await page.getByText("The password is set").waitFor();
    expect(await page.getByRole("button").isVisible()).toBe(false);
    await signIn(system, { email: person.email, password: "a stable for the horse" });
    expectQuiet(watched);
    await page.close();
  });

  test("verifies the address, in Russian, by a press of the button and not before", async () => {
    const person = await buildPerson(system);
    const token = await mailedToken(person, "verify_email");
    const { page, watched } = await open(`/account/verify#token=${token}`, "ru-RU");
    expect(await page.locator("html").getAttribute("lang")).toBe("ru");
    expect((await person.http.get("/auth/me")).body).toMatchObject({ emailVerified: false });
    await page.screenshot({ path: screenshot("verify") });
    await page.getByRole("button", { name: "Подтвердить" }).click();
    await page.getByText("Спасибо, адрес подтверждён").waitFor();
    await page.screenshot({ path: screenshot("verify-done") });
    expect((await person.http.get("/auth/me")).body).toMatchObject({ emailVerified: true });
    expectQuiet(watched);
    await page.close();
  });

  test.each(["", "#token=", "#token=tmm_forged", "?token=tmm_forged"])(
    "is told that %p is no link",
    async (end) => {
      const { page } = await open(`/account/verify${end}`);
      if (end.includes("forged") && end.startsWith("#")) await page.getByRole("button").click();
      await page.getByText("This link has been used, has expired or is incomplete").waitFor();
      expect(await page.getByRole("button").isVisible()).toBe(false);
      await page.close();
    },
  );

  test("gets pages that allow no other script, frame or origin, in the language asked for", async () => {
    for (const path of ["/account/reset", "/account/verify"]) {
      for (const [accepted, language] of [
        ["ru", "ru"],
        ["ru-RU,ru;q=0.9,en;q=0.8", "ru"],
        ["en;q=0.5, ru;q=0.4", "en"],
        ["de, ru;q=0.1", "ru"],
        ["*", "en"],
        [";;q=,", "en"],
      ]) {
        const { status, headers, body } = await anyone.get<string>(path, {
          headers: { "Accept-Language": accepted ?? "" },
        });
        expect(status).toBe(200);
        expect(body).toContain(`<html lang="${language}">`);
        expect(headers.get("content-security-policy")).toMatch(/^default-src 'none'; script-src 'self';/);
        expect(headers.get("content-security-policy")).not.toMatch(/unsafe|\*/);
        expect(headers.get("referrer-policy")).toBe("no-referrer");
        expect(headers.get("vary")).toMatch(/Accept-Language/);
        expect(body).not.toMatch(/<script>|style=|\son\w+=/);
      }
      expect((await anyone.send("HEAD", path)).status).toBe(200);
      expect((await anyone.post(path)).status).toBe(405);
    }
  });
});
