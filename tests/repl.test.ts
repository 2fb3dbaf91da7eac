import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { stripVTControlCharacters } from "node:util";
import { buildEmail } from "./support/client.ts";
import { freePort, type System } from "./support/system.ts";
import { systems } from "./support/systems.ts";

const ROOT = join(import.meta.dirname, "..");
/** The blocks of docs/repl.md that are to be typed. */
const [session = "", digits = ""] = [
  ...readFileSync(join(ROOT, "docs", "repl.md"), "utf8").matchAll(/^```repl\n(.*?)^```$/gms),
].map(([, lines]) => lines);

/** Somebody new, who types what the document has ada type. */
const asSomebodyNew = (lines: string): string => lines.replaceAll("ada@example.com", buildEmail());

const folder = mkdtempSync(join(tmpdir(), "taskmesh-repl-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

interface Run {
  exitCode: number | null;
  output: string;
  /** What each `call` printed, in order. */
  calls: { action: string; printed: string }[];
}

/**
 * Types lines into the REPL, all at once, and waits for its end. On a mesh it joins the system; else it runs
 * Taskmesh itself on the system's database.
 */
async function typeIntoRepl({ env }: System, input: string): Promise<Run> {
  const { LOG_LEVEL, ...settings } = env;
  const [PORT, OPS_PORT] = [String(await freePort()), String(await freePort())];
  const file = join(folder, `${OPS_PORT}.log`);
  const log = openSync(file, "a");
  const repl = spawn(process.execPath, ["scripts/repl.ts"], {
    cwd: ROOT,
    // Its history is kept in the home folder.
    env: { PATH: process.env.PATH, ...settings, PORT, OPS_PORT, HOME: folder },
    stdio: ["pipe", log, log],
  });
  closeSync(log);
  repl.stdin?.end(input);
  const [exitCode] = await once(repl, "exit");
  const output = stripVTControlCharacters(readFileSync(file, "utf8"));
  const calls = output.split(/^(?:taskmesh \$ )*>> Call '/m).slice(1);
  return {
    exitCode,
    output,
    calls: calls.map((text) => ({ action: text.split("'", 1)[0] ?? "", printed: text })),
  };
}

describe.each(systems)("the REPL (%s)", (_mode, system) => {
  let run: Run;

  beforeAll(async () => {
    run = await typeIntoRepl(system, asSomebodyNew(session));
  });

  it("runs the documented session, of ten lines, to its end", () => {
    expect(session.trim().split("\n")).toHaveLength(10);
    expect(run.exitCode).toBe(0);
    expect(run.calls.map(({ action }) => action)).toEqual(
      [...session.matchAll(/^call (\S+)/gm)].map(([, action]) => action),
    );
  });

  it("lists the services", () => {
    const [list = ""] = run.output.split(">> Call", 1);
    for (const name of ["api", "auth", "tasks"]) expect(list).toMatch(new RegExp(`║ ${name} +│.*OK`));
  });

  it("gets nothing without a passport", () => {
    expect(run.calls[0]).toMatchObject({
      action: "tasks.list",
      printed: expect.stringContaining("invalid_passport: The call carries no valid passport."),
    });
  });

  it("creates and lists tasks with the passport from auth.verify", () => {
    const [listed, done] = run.calls.slice(1).filter(({ action }) => action === "tasks.list");
    expect(listed?.printed).toMatch(/title: 'Buy oat milk',[^}]* status: 'open',[^}]* due: '2026-12-01'/);
    expect(done?.printed).toMatch(/title: 'Buy oat milk',[^}]* status: 'done'/);
  });

  it("answers every other call of the session", () => {
    for (const { printed } of run.calls.slice(1)) {
      expect(printed).toContain(">> Response:");
      expect(printed).not.toContain("ERROR");
    }
  });

  it("prints no log lines between the answers", () => {
    expect(run.output).not.toMatch(/"level":|\bINFO\b/);
  });

  it("takes text that looks like a number as JSON, as documented", async () => {
    const signedIn = session.split("\n").filter((line) => line.startsWith("call auth."));
    const { calls } = await typeIntoRepl(
      system,
      asSomebodyNew([...signedIn, "call tasks.create --title 2026 --#passport $passport", digits].join("\n")),
    );
    const [asFlag, asJson] = calls.slice(-2);
    expect(asFlag?.printed).toContain("validation_failed");
    expect(asJson?.printed).toContain("title: '2026'");
  });

  it("finds no actions of the nodes themselves", async () => {
    const { exitCode, output, calls } = await typeIntoRepl(
      system,
      "actions\ncall $node.list\ncall $node.options\n",
    );
    expect(output).toContain("║ tasks.create ");
    expect(output).not.toContain("║ $node");
    expect(calls).toHaveLength(2);
    for (const { printed } of calls) expect(printed).toContain("SERVICE_NOT_FOUND");
    expect(exitCode).toBe(0);
  });
});
