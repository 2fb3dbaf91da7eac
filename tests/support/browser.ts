import { accessSync, constants } from "node:fs";
import { delimiter, join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";

const NAMES = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

/** Without these, Chromium calls home, or needs a screen or rights that a test run has not. */
const FLAGS = [
  "--no-sandbox",
  "--disable-gpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** Milliseconds. Less than a test has, so that what it waited for in vain is in the message. */
const PATIENCE = 20_000;

/** Headless Chromium with a profile of its own, which goes when it closes. */
export const openBrowser = (): Promise<Browser> =>
  chromium.launch({ executablePath: findChromium(), headless: true, args: FLAGS });

/** @throws when this machine has no Chromium: a page that nobody opened was not tested */
function findChromium(): string {
  const { CHROMIUM_PATH, PATH = "" } = process.env;
  if (CHROMIUM_PATH) return CHROMIUM_PATH;
  const folders = ["/usr/bin", ...PATH.split(delimiter)];
  const found = folders.flatMap((folder) => NAMES.map((name) => join(folder, name))).find(isExecutable);
  if (found === undefined) {
    throw new Error("There is no Chromium: apt-get install chromium, or set CHROMIUM_PATH to one.");
  }
  return found;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** What a page did that it should not have: fills up while the page is used. */
export interface Watched {
  requests: URL[];
  /** Console errors and uncaught exceptions; violations of the Content-Security-Policy are among the former. */
  errors: string[];
}

/** A page of a browser context with no memory, watched from before its first request. */
export async function openWatchedPage(
  browser: Browser,
  { locale = "en-US" }: { locale?: string } = {},
): Promise<{ page: Page; watched: Watched }> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 }, locale });
  page.setDefaultTimeout(PATIENCE);
  const watched: Watched = { requests: [], errors: [] };
  page.on("request", (request) => watched.requests.push(new URL(request.url())));
  page.on("console", (message) => {
    if (message.type() === "error") watched.errors.push(message.text());
  });
  page.on("pageerror", (error) => watched.errors.push(String(error)));
  return { page, watched };
}
