import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { rmSync } from "node:fs";
import { connect as connectSocket } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { isListening } from "../scripts/services/network.ts";
import { openPostgres, ownPostgres } from "../scripts/services/postgres.ts";
import { askRabbitMq, openRabbitMq, ownRabbitMq } from "../scripts/services/rabbitmq.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import { type OpenOptions, openFirst } from "../scripts/services/source.ts";
import { askPostgres, openTestDatabases } from "../scripts/services/test-databases.ts";
import { type JestReport, judge } from "../scripts/services/test-report.ts";
import { query } from "./support/database.ts";

/** Milliseconds; a first time may fetch a package. */
const STARTING = 300_000;

const directory = makeScratchFolder("services");
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const newRun = (): string => randomBytes(4).toString("hex");

const options = (overrides: Partial<OpenOptions> = {}): OpenOptions => ({
  url: undefined,
  run: newRun(),
  directory,
  log: () => {},
  signal: new AbortController().signal,
  ...overrides,
});

describe.each([
  { product: "RabbitMQ", module: "rabbitmq.ts", own: ownRabbitMq, ask: askRabbitMq },
  { product: "PostgreSQL", module: "postgres.ts", own: ownPostgres, ask: askPostgres },
])("a throw-away $product", ({ product, module, own, ask }) => {
  test(
    "answers, and is gone when it is released",
    async () => {
      const server = await openFirst(product, own(options()), "", options());
      expect(await ask(server.url)).toContain(product);
      const { closed } = await watch(server.url);
      await server.release();
      await closed;
      expect(await isListening(portOf(server.url))).toBe(false);
    },
    STARTING,
  );

  test(
    "is gone when its owner is killed",
    async () => {
      const folder = makeScratchFolder("services");
      const owner = spawn(
        process.execPath,
        ["--input-type=module", "--eval", ownerScript(module, own.name, folder)],
        {
          stdio: ["ignore", "pipe", "inherit"],
        },
      );
      const [line] = await once(owner.stdout, "data");
      const url = String(line).trim();
      expect(await ask(url)).toContain(product);
      const { closed } = await watch(url);
      owner.kill("SIGKILL");
      await closed;
      while (await isListening(portOf(url))) await delay(20);
      rmSync(folder, { recursive: true, force: true });
    },
    STARTING,
  );
});

describe("an owned program", () => {
  /** A process that runs one which has a child. All of them hold its stdout: it ends when the last is gone. */
  const startOwner = async (then: string) => {
    const script = `
      import { spawnOwned } from "./scripts/services/owned-process.ts";
      const program = ["sh", "-c", "sleep 1000 & echo started; sleep 1000"];
      const owned = spawnOwned(program, ["ignore", "inherit", "inherit"]);
      process.stdin.once("data", async () => { ${then} });`;
    const owner = spawn(process.execPath, ["--input-type=module", "--eval", script]);
    await once(owner.stdout, "data");
    return owner;
  };

  test("ends with its children when its owner is killed", async () => {
    const owner = await startOwner("");
    owner.kill("SIGKILL");
    await once(owner.stdout.resume(), "end");
  });

  test("ends with its children when it is told to", async () => {
    const owner = await startOwner(
      "await owned.kill(); console.log(await owned.exited); process.stdin.destroy();",
    );
    owner.stdin.write("now");
    expect(String(await once(owner.stdout, "data"))).toBe("137\n");
    await once(owner.stdout.resume(), "end");
  });
});

describe("the search for a server", () => {
  const broken = { name: "Docker", open: () => Promise.reject(new Error("no space left")) };
  const absent = { name: "Homebrew", open: async () => null };

  test("ends with what each source said and what to install", async () => {
    const rabbitmq = openRabbitMq(options(), [broken, absent]);
    await expect(rabbitmq).rejects.toThrow(/No RabbitMQ.*Docker: no space left.*Homebrew: not here/s);
    await expect(rabbitmq).rejects.toThrow(/AMQP_URL.*rabbitmq-server \(Debian.*rabbitmq \(Homebrew\)/s);
    const postgres = openPostgres(options(), [absent]);
    await expect(postgres).rejects.toThrow(/No PostgreSQL.*DATABASE_URL.*postgresql \(Debian.*\(Homebrew\)/s);
  });

  test("goes no further than a URL that was given", async () => {
    const other = { name: "another", open: jest.fn() };
    const rabbitmq = openRabbitMq(options({ url: "amqp://127.0.0.1:1" }), [other]);
    await expect(rabbitmq).rejects.toThrow(/AMQP_URL: .*ECONNREFUSED/);
    const postgres = openPostgres(options({ url: "postgres://127.0.0.1:1/postgres" }), [other]);
    await expect(postgres).rejects.toThrow(/DATABASE_URL: .*ECONNREFUSED/);
    expect(other.open).not.toHaveBeenCalled();
  });

  test("starts nothing more when it is interrupted", async () => {
    const interruption = new AbortController();
    const interrupting = {
      name: "first",
      async open() {
        interruption.abort(new Error("interrupted"));
        return null;
      },
    };
    const second = { name: "second", open: jest.fn() };
    const search = openRabbitMq(options({ signal: interruption.signal }), [interrupting, second]);
    await expect(search).rejects.toThrow("interrupted");
    expect(second.open).not.toHaveBeenCalled();
  });
});

describe("the databases of a run", () => {
  const admin = process.env.DATABASE_URL ?? "";
  const database = (run: string) => `taskmesh_test_${run}_1`;
  const exists = async (run: string): Promise<boolean> =>
    (await query(admin, "SELECT FROM pg_database WHERE datname = $1", [database(run)])).length > 0;

  test("are removed at its end, even those in use, and no others", async () => {
    const [ending, other] = [newRun(), newRun()];
    const server = await openTestDatabases([admin], ending);
    const others = await openTestDatabases([admin], other);
    for (const run of [ending, other]) await query(admin, `CREATE DATABASE ${database(run)}`);
    const url = new URL(admin);
    url.pathname = `/${database(ending)}`;
    const cutOff = expect(query(url.href, "SELECT pg_sleep(60)")).rejects.toThrow(/terminating connection/);
    await untilSleeping(database(ending));
    await server.release();
    await cutOff;
    expect(await exists(ending)).toBe(false);
    expect(await exists(other)).toBe(true);
    await others.release();
  });

  test("are removed by the next run when it was killed, those of a living run are not", async () => {
    const [killed, living] = [newRun(), newRun()];
    const alive = await openTestDatabases([admin], living);
    for (const run of [killed, living]) await query(admin, `CREATE DATABASE ${database(run)}`);
    const next = await openTestDatabases([admin], newRun());
    expect(await exists(killed)).toBe(false);
    expect(await exists(living)).toBe(true);
    await next.release();
    await alive.release();
  });

  async function untilSleeping(name: string): Promise<void> {
    const sleeping = "SELECT FROM pg_stat_activity WHERE datname = $1 AND wait_event = 'PgSleep'";
    while ((await query(admin, sleeping, [name])).length === 0) await delay(20);
  }
});

describe("the verdict", () => {
  const report = (...statuses: string[]): JestReport => ({
    numPassedTests: statuses.filter((status) => status === "passed").length,
    numFailedTests: statuses.filter((status) => status === "failed").length,
    numRuntimeErrorTestSuites: 0,
    testResults: [{ assertionResults: statuses.map((status) => ({ fullName: `a ${status} test`, status })) }],
  });

  test("is good when every test passed", () => {
    expect(judge(report("passed", "passed"), 0, true)).toEqual({ passed: 2, failed: 0, complaints: [] });
  });

  test("counts a file that did not run as a failure", () => {
    const broken = { ...report("passed"), numRuntimeErrorTestSuites: 1 };
    expect(judge(broken, 1, false)).toEqual({ passed: 1, failed: 1, complaints: [] });
  });

  test.each(["pending", "todo"])("in CI complains of a %s test, elsewhere not", (status) => {
    expect(judge(report("passed", status), 0, true).complaints).toEqual([
      `Skipped, which CI does not allow: a ${status} test`,
    ]);
    expect(judge(report("passed", status), 0, false).complaints).toEqual([]);
  });

  test("is bad when no test ran, when Jest died and when it failed for another reason", () => {
    expect(judge(report(), 0, false).complaints).toEqual(["No test ran."]);
    expect(judge(null, 137, false).failed).toBe(1);
    expect(judge(report("passed"), 1, false).complaints).toEqual(["Jest exited with 1."]);
  });
});

/** A process that owns a server, says its URL and then does nothing. */
const ownerScript = (module: string, own: string, folder: string): string => `
  import { openFirst } from "./scripts/services/source.ts";
  import { ${own} } from "./scripts/services/${module}";
  const log = () => {};
  const options = { run: "0", directory: ${JSON.stringify(folder)}, log, signal: new AbortController().signal };
  const server = await openFirst("server", ${own}(options), "", options);
  console.log(server.url);
`;

const portOf = (url: string): number => Number(new URL(url).port);

/** Connects, and gives what resolves when the server is gone. */
async function watch(url: string): Promise<{ closed: Promise<unknown> }> {
  const socket = connectSocket({ host: "127.0.0.1", port: portOf(url) }).resume();
  await once(socket, "connect");
  socket.on("error", () => {}); // a reset is an end as well
  return { closed: new Promise((resolve) => socket.once("close", resolve)) };
}
