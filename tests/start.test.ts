import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { delimiter, join, resolve } from "node:path";
import type { Task } from "../services/tasks/tasks.schema.ts";
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
const NOBODY = { uid: 65_534, gid: 65_534 };

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
  let first: Start;
  let person: Person;
  let task: Task;

  beforeAll(async () => {
    first = await startReady(folder);
    person = await buildPerson(first);
    task = await buildTask(person, { title: "Kept" });
  });

  test("says where it listens and where the data is, and is ready by then", async () => {
    const url = first.baseUrl.replace("127.0.0.1", "localhost");
    expect(first.output()).toContain(`Taskmesh is ready: ${url}  (docs: ${url}/docs)`);
    expect(first.output()).toContain(`Data is kept in ${join(folder, "postgres")}`);
    expect((await fetch(`${first.opsUrl}/health/ready`)).status).toBe(200);
  });

  test("makes a secret that only its owner can read", () => {
    const file = join(folder, "auth-secret");
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(readFileSync(file, "utf8").trim()).toMatch(/^[\w-]{43}$/);
    expect(readdirSync(folder).filter((name) => name.startsWith("auth-secret"))).toEqual(["auth-secret"]);
  });

  test("refuses the same data folder to a second start, and names the process that has it", async () => {
    const second = await startTaskmesh(folder);
    expect(await refusalOf(second)).toContain(
      `(pid ${first.pids().services}) is using the data folder ${folder}`,
    );
  });

  test.each(["PORT", "OPS_PORT"])("refuses a taken %s before it makes anything", async (variable) => {
    const { port } = new URL(first.baseUrl);
    const other = makeDataFolder();
    const second = await startTaskmesh(other, { env: { [variable]: port } });
    expect(await refusalOf(second)).toContain(`Port ${port} (${variable}) is taken by another program.`);
    expect(existsSync(join(other, "postgres"))).toBe(false);
  });

  test("stops everything on SIGTERM and has account, task and session again on the next start", async () => {
    const pids = everyPid(first);
    expect(await stopped(first)).toBe(0);
    await gone(pids);

    const next = await startReady(folder);
    expect((await signIn(next, person)).accessToken).toBeTruthy();
    expect(await readTask(next, person, task)).toMatchObject({ status: 200, body: { title: "Kept" } });
    await stopped(next);
  });

  test("stops cleanly on Ctrl-C, which reaches every process of the terminal, pressed three times", async () => {
    const start = await startReady(folder);
    const pids = everyPid(start);
    for (let presses = 0; presses < 3; presses += 1) process.kill(-(start.child.pid ?? 0), "SIGINT");
    expect(await start.exitCode).toBe(0);
    await gone(pids);
    expect(readFileSync(join(folder, "postgres.log"), "utf8")).toContain("database system is shut down");
  });

  test.each([
    {
      killed: "the process of the services",
      command: undefined,
      pid: (start: Start) => start.pids().services,
    },
    { killed: "scripts/run.cjs", command: undefined, pid: (start: Start) => start.child.pid ?? 0 },
    { killed: "npm", command: ["npm", "start"], pid: (start: Start) => start.child.pid ?? 0 },
  ])(
    "after kill -9 of $killed nothing is left, and the next start has the last write",
    async ({ command, pid }) => {
      const start = await startReady(folder, command ? { command } : {});
      const pids = everyPid(start);
      const writer = await buildPerson(start);
      const written = await buildTask(writer);
      process.kill(pid(start), "SIGKILL");

      const next = await startWhenFree(folder);
      expect((await readTask(next, writer, written)).status).toBe(200);
      await gone(pids);
      await stopped(next);
    },
  );

  test("says so when PostgreSQL is killed, and exits with 1", async () => {
    const start = await startReady(folder);
    const pids = everyPid(start);
    process.kill(start.pids().postgres, "SIGKILL");
    expect(await refusalOf(start)).toContain("PostgreSQL ended on its own");
    await gone(pids);
  });

  test("with DATABASE_URL uses that database and makes only a secret", async () => {
    const database = await createDatabase();
    const other = makeDataFolder();
    const start = await startReady(other, { env: { DATABASE_URL: database.url } });
    expect(await buildPerson(start)).toHaveProperty("user.id");
    expect(readdirSync(other)).toEqual(["auth-secret"]);
    expect(await stopped(start)).toBe(0);
    await database.drop();
  });
});

/** The stop after a killed parent takes a moment, in which the folder is still in use. */
async function startWhenFree(folder: string): Promise<Start> {
  for (;;) {
    const start = await startTaskmesh(folder);
    const outcome = await start.ready.then(
      () => "ready",
      () => start.output(),
    );
    if (outcome === "ready") return start;
    expect(outcome).toContain("is using the data folder");
  }
}

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
    while (!killed.output().includes("making a database"))
      await once(killed.child.stdout ?? killed.child, "data");
    process.kill(Number(readFileSync(join(folder, "lock.pid"), "utf8")), "SIGKILL");
    await killed.exitCode;
    expect(existsSync(join(folder, "postgres"))).toBe(false);

    const next = await startReady(folder);
    expect(await buildPerson(next)).toHaveProperty("user.id");
    expect(readdirSync(folder).filter((name) => name.startsWith("postgres.new"))).toEqual([]);
    await stopped(next);
  });

  test("works in a folder that only its owner can enter", async () => {
    const folder = makeDataFolder(0o700);
    const start = await startReady(folder);
    const place = dataPlace(start.output());
    removeLater(join(place, ".."));
    expect(place).toMatch(isRoot ? /^\/var\/lib\/taskmesh\/\w{12}\/postgres$/ : join(folder, "postgres"));
    expect(statSync(place).mode & 0o777).toBe(0o700);
    expect(await stopped(start)).toBe(0);
  });
});
