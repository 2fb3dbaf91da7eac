import { spawnSync } from "node:child_process";
import { chownSync, existsSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { runOwned } from "../scripts/services/owned-process.ts";
import type { Task } from "../services/tasks/task.schema.ts";
import { buildPerson, buildTask, httpFor, type Person, signIn } from "./support/client.ts";
import { createDatabase } from "./support/database.ts";
import {
  cleanUpStarts,
  dataPlace,
  gone,
  makeDataFolder,
  removeLater,
  type Start,
  startTaskmesh,
} from "./support/start.ts";

const isRoot = process.getuid?.() === 0;

/** Whom to start it as to show that no privileges are needed: the tests may run as root. */
const { user: plainUser, who } = findPlainUser();

afterAll(cleanUpStarts);

/** A task as its owner sees it on another start, with the token from before. */
const readTask = (start: Start, { tokens }: Person, { id }: Task) =>
  httpFor(start, tokens.accessToken).get<Task>(`/tasks/${id}`);

const everyPid = (start: Start): number[] => [start.child.pid ?? 0, ...Object.values(start.pids())];

async function startReady(...args: Parameters<typeof startTaskmesh>): Promise<Start> {
  const start = await startTaskmesh(...args);
  await start.ready;
  return start;
}

async function stopped(start: Start): Promise<number | null> {
  start.child.kill("SIGTERM");
  return start.exitCode;
}

/** What a start prints that refuses, once it is established that it left nothing running and printed no stack. */
async function refusalOf(start: Start): Promise<string> {
  expect(await start.exitCode).toBe(1);
  expect(start.output()).not.toMatch(/^ {4}at /m);
  return start.output();
}

describe("npm start", () => {
  const folder = makeDataFolder();
  let person: Person;
  let task: Task;

  beforeAll(async () => {
    const first = await startReady(folder);
    person = await buildPerson(first);
    task = await buildTask(person, { title: "Kept" });
    await stopped(first);
  });

  describe("while it runs", () => {
    let running: Start;

    beforeAll(async () => {
      running = await startReady(folder);
    });

    afterAll(() => stopped(running));

    test("has said where it listens and where the data is, and is ready by then", async () => {
      const url = running.baseUrl.replace("127.0.0.1", "localhost");
      expect(running.output()).toContain(`Taskmesh is ready: ${url}  (docs: ${url}/docs)`);
      expect(running.output()).toContain(`Data is kept in ${folder}.`);
      expect((await fetch(`${running.opsUrl}/health/ready`)).status).toBe(200);
    });

    test("has the account, the task and the session of the start before", async () => {
      expect((await signIn(running, person)).accessToken).toBeTruthy();
      expect(await readTask(running, person, task)).toMatchObject({ status: 200, body: { title: "Kept" } });
    });

    test("has made a secret that only its owner can read", () => {
      const file = join(folder, "auth-secret");
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(readFileSync(file, "utf8").trim()).toMatch(/^[\w-]{43}$/);
      expect(readdirSync(folder).filter((name) => name.startsWith("auth-secret"))).toEqual(["auth-secret"]);
    });

    test("is found by npm run migrate, unless a URL is set that leads elsewhere", async () => {
      const migrate = (env: Record<string, string>) =>
        runOwned([process.execPath, "scripts/migrate.ts", "status"], {
          env: { PATH: process.env.PATH, DATA_DIR: folder, ...env },
        });
      const { code, output } = await migrate({});
      expect([code, output]).toEqual([0, expect.stringMatching(/^auth {2}applied .*^tasks {2}applied /ms)]);
      expect(output).not.toContain("pending");
      for (const name of ["AUTH", "TASKS"]) {
        const half = await migrate({ [`${name}_DATABASE_URL`]: "postgres://127.0.0.1:1/elsewhere" });
        expect(half).toMatchObject({ code: 1, output: expect.stringContaining("DATABASE_URL is required") });
      }
    });

    test("refuses the same data folder to a second start, and names the process that has it", async () => {
      const second = await startTaskmesh(folder);
      expect(await refusalOf(second)).toContain(
        `(pid ${running.pids().services}) is using the data folder ${folder}`,
      );
    });

    test.each(["PORT", "OPS_PORT"])(
      "a second start refuses a taken %s before it makes anything",
      async (variable) => {
        const { port } = new URL(running.baseUrl);
        const other = makeDataFolder();
        const second = await startTaskmesh(other, { env: { [variable]: port } });
        expect(await refusalOf(second)).toContain(`Port ${port} (${variable}) is taken by another program.`);
        expect(existsSync(join(other, "postgres"))).toBe(false);
      },
    );
  });

  test("stops everything on SIGTERM", async () => {
    const start = await startReady(folder);
    const pids = everyPid(start);
    expect(await stopped(start)).toBe(0);
    await gone(pids);
  });

  test("stops cleanly on Ctrl-C, which reaches every process of the terminal, pressed three times", async () => {
    const start = await startReady(folder);
    const pids = everyPid(start);
    for (let presses = 0; presses < 3; presses += 1) process.kill(-(start.child.pid ?? 0), "SIGINT");
    expect(await start.exitCode).toBe(0);
    await gone(pids);
    expect(readFileSync(join(folder, "postgres.log"), "utf8")).toContain("database system is shut down");
  });

  test("a start right after kill -9 of the last one has its last write", async () => {
    const start = await startReady(folder);
    const writer = await buildPerson(start);
    const written = await buildTask(writer);
    const { services, postgres } = start.pids();
    process.kill(services, "SIGKILL");
    expect(await start.exitCode).toBe(137);

    const next = await startReady(folder);
    expect((await readTask(next, writer, written)).status).toBe(200);
    await gone([postgres]);
    await stopped(next);
  });

  test.each([
    { parent: "scripts/run.cjs", options: {} },
    { parent: "npm", options: { command: ["npm", "start"] } },
  ])("after kill -9 of $parent nothing is left running", async ({ options }) => {
    const start = await startReady(folder, options);
    const pids = everyPid(start);
    start.child.kill("SIGKILL");
    await gone(pids);
  });

  test("says so when PostgreSQL is killed, and exits with 1", async () => {
    const start = await startReady(folder);
    const pids = everyPid(start);
    process.kill(start.pids().postgres, "SIGKILL");
    expect(await refusalOf(start)).toContain("PostgreSQL ended on its own");
    await gone(pids);
  });

  test("with DATABASE_URL makes only a secret, and with AUTH_SECRET too needs no folder", async () => {
    const database = await createDatabase();
    const other = makeDataFolder();
    const start = await startReady(other, { env: { DATABASE_URL: database.url } });
    expect(await buildPerson(start)).toHaveProperty("user.id");
    expect(readdirSync(other)).toEqual(["auth-secret"]);
    expect(await stopped(start)).toBe(0);

    const AUTH_SECRET = readFileSync(join(other, "auth-secret"), "utf8").trim();
    const nowhere = await startReady("/sys/taskmesh", { env: { DATABASE_URL: database.url, AUTH_SECRET } });
    expect(await stopped(nowhere)).toBe(0);
    await database.drop();
  });
});

describe("the very first start", () => {
  test("is done by one of two that begin at the same moment; the other is refused", async () => {
    const folder = makeDataFolder();
    const both = await Promise.all([startTaskmesh(folder), startTaskmesh(folder)]);
    const outcomes = await Promise.allSettled(both.map(({ ready }) => ready));
    const [winner, loser] = outcomes[0]?.status === "fulfilled" ? both : [both[1], both[0]];
    expect(outcomes.map(({ status }) => status).sort()).toEqual(["fulfilled", "rejected"]);
    expect(await refusalOf(loser)).toContain(`(pid ${winner.pids().services}) is using the data folder`);
    await stopped(winner);
  });

  test("killed while it makes the database is made good by the next one", async () => {
    const folder = makeDataFolder();
    const killed = await startTaskmesh(folder);
    const drafts = () => readdirSync(folder).filter((name) => name.startsWith("postgres.new-"));
    while (!drafts().some((name) => existsSync(join(folder, name, "PG_VERSION")))) await delay(10);
    process.kill(Number(readFileSync(join(folder, "lock.pid"), "utf8")), "SIGKILL");
    await killed.exitCode;
    expect(existsSync(join(folder, "postgres"))).toBe(false);

    const next = await startReady(folder);
    expect(await buildPerson(next)).toHaveProperty("user.id");
    expect(drafts()).toEqual([]);
    await stopped(next);
  });

  test("works in a folder that only its owner can enter", async () => {
    const folder = makeDataFolder(0o700);
    const start = await startReady(folder);
    const place = dataPlace(start.output());
    removeLater(place);
    expect(place).toMatch(isRoot ? /^\/var\/lib\/taskmesh\/\w{12}$/ : folder);
    expect(readdirSync(place)).toEqual(expect.arrayContaining(["auth-secret", "postgres"]));
    expect(statSync(join(place, "postgres")).mode & 0o777).toBe(0o700);
    expect(await stopped(start)).toBe(0);
  });

  test(`needs no privileges (here: ${who})`, async () => {
    const folder = makeDataFolder();
    if (plainUser) chownSync(folder, plainUser.uid, plainUser.gid);
    const start = await startReady(folder, plainUser ? { user: plainUser } : {});
    expect(await buildPerson(start)).toHaveProperty("user.id");
    expect(statSync(join(dataPlace(start.output()), "postgres")).uid).not.toBe(0);
    if (plainUser) expect(statSync(join(folder, "auth-secret")).uid).toBe(plainUser.uid);
    expect(await stopped(start)).toBe(0);
  });

  test("is refused where nobody can write", async () => {
    const closed = process.platform === "linux" ? "/sys/taskmesh" : "/System/taskmesh"; // closed to root as well
    const start = await startTaskmesh(closed);
    expect(await refusalOf(start)).toContain(`Taskmesh cannot write in its data folder ${closed}`);
  });

  test("is refused where a file is in the way", async () => {
    const file = join(makeDataFolder(), "file");
    writeFileSync(file, "");
    expect(await refusalOf(await startTaskmesh(file))).toContain(`The data folder ${file} cannot be made`);
  });
});

function findPlainUser(): { user?: { uid: number; gid: number }; who: string } {
  if (!isRoot) return { who: "the user of the tests" };
  const nobody = { uid: 65_534, gid: 65_534 };
  const canRead = spawnSync(process.execPath, ["-e", 'require("fs").readFileSync("package.json")'], nobody);
  if (canRead.status === 0) return { user: nobody, who: "nobody" };
  return { who: "PostgreSQL alone, because only root can read this repository" };
}
