import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { runOwned } from "../scripts/services/owned-process.ts";
import { findProgram } from "../scripts/services/programs.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import type { Changes } from "../services/tasks/changes.schema.ts";
import type { Task } from "../services/tasks/task.schema.ts";
import { buildPerson, buildTask, httpFor, type Person, signIn } from "./support/client.ts";
import { createDatabase, query } from "./support/database.ts";
import { type RunningSystem, startOneProcess } from "./support/system.ts";

/** What the document has to be run after a restore. */
const [lift = ""] = /UPDATE tasks\.change_heads[^;]*;/.exec(readFileSync("docs/operations.md", "utf8")) ?? [];

const run = async (program: string, ...args: string[]): Promise<void> => {
  const { code, output } = await runOwned([findProgram(program) ?? program, ...args]);
  if (code !== 0) throw new Error(output);
};

/** Whether PostgreSQL's tools are here, and as new as the server: older ones refuse it. */
function canDump(): boolean {
  const [psql, dump] = [findProgram("psql"), findProgram("pg_dump")];
  if (psql === null || dump === null || findProgram("pg_restore") === null) return false;
  const major = (text: string): number => Number(/\d+/.exec(text)?.[0]);
  const ask = (program: string, ...args: string[]) =>
    major(execFileSync(program, args, { encoding: "utf8" }));
  return ask(dump, "--version") >= ask(psql, "-Atc", "SHOW server_version", process.env.DATABASE_URL ?? "");
}

const directory = makeScratchFolder("restore");
let old: RunningSystem;
let ada: Person;
/** As it was at the dump, then changed. */
let kept: Task;
/** Places in the log: before the dump, and after it. */
let known: number;
let unknown: number;
let restored: RunningSystem;
let database: Database;

type Database = Awaited<ReturnType<typeof createDatabase>>;

/** By the tools that the document names. */
async function dump(source: string): Promise<() => Promise<Database>> {
  const file = join(directory, "taskmesh.dump");
  await run("pg_dump", "--format=custom", "--schema=auth", "--schema=tasks", `--file=${file}`, source);
  return async () => {
    const copy = await createDatabase();
    await run("pg_restore", "--exit-on-error", "--single-transaction", `--dbname=${copy.url}`, file);
    return copy;
  };
}

/** By the server itself, where those tools are not; it copies a database that nobody is connected to. */
async function copy(source: string): Promise<() => Promise<Database>> {
  const name = new URL(source).pathname.slice(1);
  const admin = process.env.DATABASE_URL ?? "";
  await query(admin, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
  await query(admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", [
    name,
  ]);
  const copied = await createDatabase(name);
  await query(admin, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
  return async () => copied;
}

async function restore(): Promise<void> {
  old = await startOneProcess();
  ada = await buildPerson(old);
  kept = await buildTask(ada, { title: "Kept" });
  const place = async () => (await ada.http.get<Changes>("/changes")).body.nextSince;
  known = Number(await place());
  const bringBack = await (canDump() ? dump : copy)(old.databaseUrl);
  await ada.http.patch(`/tasks/${kept.id}`, { title: "Lost" });
  await buildTask(ada, { title: "Lost, too" });
  unknown = Number(await place());

  database = await bringBack();
  await query(database.url, lift);
  const { AUTH_SECRET = "", MESH_NAMESPACE = "" } = old.env;
  restored = await startOneProcess({ DATABASE_URL: database.url, AUTH_SECRET, MESH_NAMESPACE });
}

describe("a database restored from a back-up", () => {
  beforeAll(restore, 120_000);
  afterAll(async () => {
    await Promise.all([old?.stop(), restored?.stop()]);
    await database?.drop();
    rmSync(directory, { recursive: true, force: true });
  });

  test("lets people sign in, and go on with a token from before", async () => {
    const tokens = await signIn(restored, ada);
    for (const token of [tokens.accessToken, ada.tokens.accessToken]) {
      const { body } = await httpFor(restored, token).get("/tasks");
      expect(body).toMatchObject({ items: [{ ...kept, title: "Kept" }] });
    }
  });

  test("tells clients that sync to start over, wherever they were, and serves them from there", async () => {
    const http = httpFor(restored, ada.tokens.accessToken);
    for (const since of [known, unknown]) {
      expect(await http.get(`/changes?since=${since}`)).toMatchObject({
        status: 410,
        body: { code: "since_expired" },
      });
    }
    const { body: fresh } = await http.get<Changes>("/changes");
    expect(fresh).toMatchObject({
      changes: [{ taskId: kept.id, task: { title: "Kept" } }],
      hasMore: false,
    });
    await http.patch(`/tasks/${kept.id}`, { title: "Changed" });
    const { body: next } = await http.get<Changes>(`/changes?since=${fresh.nextSince}`);
    expect(next).toMatchObject({
      changes: [{ seq: Number(fresh.nextSince) + 1, task: { title: "Changed" } }],
      hasMore: false,
    });
  });

  test("takes a new AUTH_SECRET for its keys: tokens hold, refresh tokens don't, and a wrong old one changes nothing", async () => {
    const { AUTH_SECRET: before = "", MESH_NAMESPACE = "" } = restored.env;
    const after = randomBytes(32).toString("base64url");
    const { refreshToken, accessToken } = await signIn(restored, ada);
    await restored.stop();
    const keys = (command: string, env: Record<string, string>) =>
      runOwned([process.execPath, "scripts/keys.ts", command], {
        env: { PATH: process.env.PATH, AUTH_DATABASE_URL: database.url, ...env },
      });
    const wrong = randomBytes(32).toString("base64url");
    expect(await keys("reseal", { AUTH_SECRET: after, OLD_AUTH_SECRET: wrong })).toMatchObject({
      code: 1,
      output: expect.stringMatching(/Nothing changed/),
    });
    expect(await keys("reseal", { AUTH_SECRET: after, OLD_AUTH_SECRET: before })).toMatchObject({
      code: 0,
    });
    expect(await keys("rotate", { AUTH_SECRET: after })).toMatchObject({ code: 0 });

    restored = await startOneProcess({ DATABASE_URL: database.url, AUTH_SECRET: after, MESH_NAMESPACE });
    expect((await httpFor(restored, accessToken).get("/tasks")).status).toBe(200);
    expect((await httpFor(restored).post("/auth/refresh", { refreshToken })).status).toBe(401);
    await signIn(restored, ada);
  }, 60_000);
});
