import { readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Browser, Locator, Page } from "playwright-core";
import { problems } from "../lib/errors.ts";
import { toOpenApi30 } from "../services/api/openapi/openapi-3.0.ts";
import { openBrowser, openWatchedPage, type Watched } from "./support/browser.ts";
import { buildEmail, httpFor, PASSWORD } from "./support/client.ts";
import { systems } from "./support/systems.ts";

const DOCUMENT = join(import.meta.dirname, "../services/api/openapi.json");
/** What the page looked like when the last run had used it. */
const SCREENSHOT = join(tmpdir(), "taskmesh-docs.png");

// A browser gets slow where other test files use all of the machine.
jest.setTimeout(120_000);

// Not in both modes: the page comes from the gateway's memory, and what it calls is tested in both elsewhere.
const oneProcess = systems.filter(([mode]) => mode === "one process");

describe.each(oneProcess)("a person at /docs (%s)", (_mode, system) => {
  const account = { email: buildEmail(), password: PASSWORD };
  let browser: Browser;
  let page: Page;
  let watched: Watched;

  beforeAll(async () => {
    browser = await openBrowser();
    ({ page, watched } = await openWatchedPage(browser));
    await page.goto(system.baseUrl);
  });
  afterAll(() => browser?.close());

  /** Executes the operation that is open: the status and the body that the page shows then. */
  async function execute(summary: string, body?: object): Promise<{ status: number; answer: Locator }> {
    const operation = page.locator(".opblock", { hasText: summary });
    if (body) await operation.locator("textarea").fill(JSON.stringify(body));
    const [response] = await Promise.all([
      page.waitForResponse((each) => each.request().resourceType() === "fetch"),
      operation.getByRole("button", { name: "Execute" }).click(),
    ]);
    const shown = operation.locator(".live-responses-table tbody");
    await shown.locator(".response-col_status", { hasText: String(response.status()) }).waitFor();
    return { status: response.status(), answer: shown };
  }

  const open = (summary: string): Promise<void> =>
    page.locator(".opblock", { hasText: summary }).locator(".opblock-summary-control").click();
  const introduction = () => page.locator(".info");

  test("registers, signs in and creates a task, led by the introduction", async () => {
    expect(await page.title()).toBe("Taskmesh API");
    await introduction().getByText("Create an account").click();
    expect(await execute("Create an account", account)).toMatchObject({ status: 201 });
    await introduction().getByText("Sign in").click();
    expect(await execute("Sign in", account)).toMatchObject({ status: 200 });

    await introduction().getByText("Create a task").click();
    expect(await execute("Create a task", { title: "Made on the page" })).toMatchObject({ status: 201 });
    await introduction().getByText("list your tasks").click();
    const { status, answer } = await execute("List your tasks");
    expect(status).toBe(200);
    expect(await answer.innerText()).toContain("Made on the page");

    await page.screenshot({ path: SCREENSHOT, fullPage: true });
  });

  test("is still signed in after a reload, until they sign out", async () => {
    await page.goto(`${system.baseUrl}/docs`);
    await open("Read your account");
    const { answer } = await execute("Read your account");
    expect(await answer.innerText()).toContain(account.email);

    await open("End this session");
    expect(await execute("End this session")).toMatchObject({ status: 204 });
    expect(watched.errors).toEqual([]);

    const { status } = await execute("Read your account");
    expect(status).toBe(401);
    // That answer is one that Chromium itself puts on the console.
    expect(watched.errors.splice(0)).toEqual([expect.stringContaining("401")]);
  });

  test("comes from a problem document to what it means", async () => {
    await page.goto(`${system.baseUrl}/docs/problems#invalid_token`);
    const { status, title } = problems.invalid_token;
    expect(await page.locator("section:target").innerText()).toContain(`${status} ${title}`);
  });

  test("has spoken to no other host, and the page broke no rule of its own", () => {
    expect(watched.requests.length).toBeGreaterThan(10);
    expect(new Set(watched.requests.map(({ origin }) => origin))).toEqual(new Set([system.baseUrl]));
    expect(watched.errors).toEqual([]);
  });
});

describe.each(systems)("the documentation (%s)", (_mode, system) => {
  const http = httpFor(system);

  test.each([
    ["/docs", "text/html; charset=utf-8"],
    ["/docs/problems", "text/html; charset=utf-8"],
    ["/docs/init.js", "text/javascript; charset=utf-8"],
    ["/docs/style.css", "text/css; charset=utf-8"],
    ["/docs/icon.svg", "image/svg+xml"],
    ["/docs/swagger-ui.css", "text/css; charset=utf-8"],
    ["/docs/swagger-ui-bundle.js", "text/javascript; charset=utf-8"],
    ["/openapi.json", "application/json; charset=utf-8"],
    ["/openapi-3.0.json", "application/json; charset=utf-8"],
  ])("%s may be kept for a while, runs nothing from elsewhere, and has HEAD", async (path, type) => {
    const got = await http.get(path);
    expect(got.status).toBe(200);
    expect(got.headers.get("Content-Type")).toBe(type);
    expect(got.headers.get("Cache-Control")).toBe("public, max-age=300");
    expect(got.headers.get("X-Content-Type-Options")).toBe("nosniff");
    expect(got.headers.get("Content-Security-Policy")).toMatch(/^default-src 'self';/);
    expect(got.headers.get("Content-Security-Policy")).not.toContain("unsafe");

    const head = await http.send("HEAD", path);
    expect(head.body).toBe("");
    expect(head.headers.get("Content-Length")).toBe(got.headers.get("Content-Length"));
    expect(await http.post(path)).toMatchObject({ status: 405, body: { code: "method_not_allowed" } });
  });

  test.each([
    "/docs/index.html",
    "/docs/swagger-ui-bundle.js.map",
    "/docs/..%2fapi.service.ts",
    "/docs/docs.ts",
  ])("%s is not served", async (path) => {
    expect(await http.get(path)).toMatchObject({ status: 404, body: { code: "not_found" } });
  });

  test("is the committed document, and the same as OpenAPI 3.0", async () => {
    const committed = JSON.parse(readFileSync(DOCUMENT, "utf8"));
    const { body } = await http.get("/openapi.json");
    const { body: older } = await http.get<{ openapi: string }>("/openapi-3.0.json");
    expect(body).toEqual(committed);
    expect(older).toEqual(toOpenApi30(committed));
    expect(older.openapi).toBe("3.0.3");
  });

  test("explains every code", async () => {
    const { body } = await http.get<string>("/docs/problems");
    for (const [code, { status, title }] of Object.entries(problems)) {
      expect(body).toContain(`id="${code}"`);
      expect(body).toContain(`<span>${status} ${title}</span>`);
    }
  });

  test("is where / leads", async () => {
    const { status, headers } = await http.get("/", { headers: { Accept: "application/json" } });
    expect([status, headers.get("Location")]).toEqual([302, "/docs"]);
  });
});
