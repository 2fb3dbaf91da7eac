import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  appendFileSync,
  cpSync,
  mkdirSync,
  readFileSync,
  renameSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "../scripts/embedded/ports.ts";
import { httpFor } from "./support/client.ts";
import { cleanUpStarts, gone, makeDataFolder } from "./support/start.ts";

/** What npm run dev runs and watches. */
const PROGRAM = ["config", "lib", "mixins", "services", "scripts", "moleculer.config.ts", "package.json"];
const READY = "Taskmesh is ready";

describe("npm run dev, in a copy of the program", () => {
  const folder = makeDataFolder();
  const program = join(folder, "program");
  let child: ChildProcess;
  let baseUrl: string;
  let output = "";
  const heard: (() => void)[] = [];

  /** Resolves when the output has this so many times. */
  const said = (text: string, times: number): Promise<void> =>
    new Promise((resolve) => {
      const look = (): void => {
        if (output.split(text).length > times) resolve();
      };
      heard.push(look);
      look();
    });

  const postgresPid = (): number =>
    Number(readFileSync(join(folder, "data", "postgres", "postmaster.pid"), "utf8").split("\n")[0]);

  beforeAll(async () => {
    mkdirSync(program);
    for (const name of PROGRAM) cpSync(name, join(program, name), { recursive: true });
    symlinkSync(join(process.cwd(), "node_modules"), join(program, "node_modules"));
    const [port, opsPort] = [await freePort(), await freePort()];
    baseUrl = `http://127.0.0.1:${port}`;
    child = spawn(process.execPath, ["scripts/dev.ts"], {
      cwd: program,
      env: {
        PATH: process.env.PATH,
        HOME: process.env.HOME,
        // As scripts/run.cjs gives it, but of the copy: what is kept there goes with it.
        NODE_COMPILE_CACHE: join(folder, "compiled"),
        DATA_DIR: join(folder, "data"),
        BCRYPT_COST: "4",
        PORT: String(port),
        OPS_PORT: String(opsPort),
      },
      stdio: ["ignore", "pipe", "pipe", "ipc"],
    });
    const hear = (chunk: Buffer): void => {
      output += chunk;
      for (const look of heard) look();
    };
    child.stdout?.on("data", hear);
    child.stderr?.on("data", hear);
    await said(READY, 1);
  }, 90_000);

  afterAll(cleanUpStarts);

  test("serves what was changed, beside the same PostgreSQL, as often as a file is written", async () => {
    const postgres = postgresPid();
    expect((await fetch(`${baseUrl}/health/live`)).status).toBe(200);
    const pages = join(program, "services", "api", "pages.ts");
    const source = readFileSync(pages, "utf8");
    for (const [turn, status] of ["changed", "changed again"].entries()) {
      writeFileSync(pages, source.replace('{ status: "ok" }', `{ status: "${status}" }`));
      await said(READY, turn + 2);
      expect(await (await fetch(`${baseUrl}/health/live`)).json()).toEqual({ status });
    }
    expect(postgresPid()).toBe(postgres);
    expect((await httpFor({ baseUrl }).get("/tasks")).status).toBe(401);
  }, 60_000);

  test("hears of files that an editor or git puts in the place of others, again and again, and of new folders", async () => {
    const routes = join(program, "services", "api", "routes.ts");
    for (let save = 0; save < 2; save++) {
      const before = output.split(READY).length - 1;
      writeFileSync(`${routes}~`, `${readFileSync(routes, "utf8")}\n`);
      renameSync(`${routes}~`, routes);
      await said(READY, before + 1);
    }
    const folder = join(program, "lib", "more");
    const before = output.split(READY).length - 1;
    mkdirSync(folder);
    await said(READY, before + 1);
    writeFileSync(join(folder, "new.ts"), "export {};\n");
    await said(READY, before + 2);
  }, 60_000);

  test("says what is wrong with a change, and goes on with the next one", async () => {
    const file = join(program, "services", "api", "routes.ts");
    const source = readFileSync(file, "utf8");
    const before = output.split(READY).length - 1;
    appendFileSync(file, "\nconst broken = ;\n");
    await said("started again when a file changes", 1);
    expect(output).toMatch(/broken = ;|Expression expected|Unexpected token/);
    writeFileSync(file, source);
    await said(READY, before + 1);
    expect((await fetch(`${baseUrl}/health/live`)).status).toBe(200);
  }, 60_000);

  test("writes lines for people", () => {
    expect(output).toMatch(/^.{0,8}\[\d\d:\d\d:\d\d\.\d{3}\].* api: .*Service 'api' started/m);
    expect(output).not.toMatch(/^\{"level"/m);
  });

  test("leaves nothing running when whoever started it dies", async () => {
    const postgres = postgresPid();
    const ended = once(child, "exit");
    child.kill("SIGKILL");
    await ended;
    await gone([postgres]);
    // The services finish what they have taken, and go.
    for (const deadline = Date.now() + 15_000; Date.now() < deadline; await delay(20)) {
      const answer = await fetch(baseUrl).catch(() => null);
      if (answer === null) return;
    }
    throw new Error("the services still answer");
  }, 60_000);
});
