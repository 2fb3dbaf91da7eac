import { randomBytes } from "node:crypto";
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { runOwned } from "../scripts/services/owned-process.ts";
import { startPostgres } from "../scripts/services/postgres-server.ts";
import { findProgram } from "../scripts/services/programs.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import type { Changes } from "../services/tasks/changes.schema.ts";
import type { Task } from "../services/tasks/task.schema.ts";
import { buildPerson, buildTask, httpFor, type Person, signIn } from "./support/client.ts";
import { makeDatabases } from "./support/compose-databases.ts";
import { createDatabase, query } from "./support/database.ts";
import { type RunningSystem, startOneProcess } from "./support/system.ts";

const manual = readFileSync("docs/operations.md", "utf8");
/** What the document has to be run after a restore. */
const [lift = ""] = /(?:INSERT INTO|UPDATE) tasks\.change_heads[^;]*;/.exec(manual) ?? [];
/** How the document calls one of PostgreSQL's tools, up to where it names the database and the file. */
const options = (program: string): string[] => {
  const [, found] = new RegExp(`^ *${program} (--.*?) --(?:file|dbname)=`, "m").exec(manual) ?? [];
  if (found === undefined) throw new Error(`docs/operations.md has no ${program}`);
  return found.split(" ");
};

const run = async (program: string, ...args: string[]): Promise<void> => {
  const { code, output } = await runOwned([findProgram(program) ?? program, ...args]);
  if (code !== 0) throw new Error(output);
};

/** Where PostgreSQL's programs are, if all of them are here: the tools, and servers to use them on. */
function findPrograms(): string | null {
  const folders = ["initdb", "pg_dump", "pg_restore"].map((name) => dirname(findProgram(name) ?? ""));
  const [folder = "."] = folders;
  return folder !== "." && folders.every((each) => each === folder) ? folder : null;
}

interface Database {
  /** Of whom the document has make and restore a dump. */
  admin: string;
  /** Settings of the services. */
  env: Record<string, string>;
}

const { PATH, NODE_COMPILE_CACHE } = process.env;
const directory = makeScratchFolder("restore");
/** What ends the servers, or drops the databases, that were made here. */
const drops: (() => Promise<void>)[] = [];
let ada: Person;
/** Without a task at the dump. */
let bob: Person;
/** As it was at the dump, then changed. */
let kept: Task;
/** Places in the log: before the dump, and after it. */
let known: number;
let unknown: number;
let bobs: number;
let restored: RunningSystem;
let database: Database;

/** A server that has what deploy/compose/databases.sql makes, and nothing else: roles are a server's, not a database's. */
async function newServer(programs: string, name: string): Promise<Database> {
  const server = await startPostgres({ programs, directory: join(directory, name) });
  drops.push(server.release);
  const { admin, auth, tasks } = await makeDatabases(server.url);
  return { admin, env: { AUTH_DATABASE_URL: auth, TASKS_DATABASE_URL: tasks } };
}

async function newDatabase(template?: string): Promise<Database> {
  const { url, drop } = await createDatabase(template);
  drops.push(drop);
  return { admin: url, env: { DATABASE_URL: url } };
}

/** By the tools that the document names, and into another server. */
const byTools = (programs: string) => ({
  make: () => newServer(programs, "old"),
  async dump({ admin }: Database): Promise<() => Promise<Database>> {
    const file = join(directory, "taskmesh.dump");
    await run("pg_dump", ...options("pg_dump"), `--file=${file}`, admin);
    return async () => {
      const fresh = await newServer(programs, "new");
      await run("pg_restore", ...options("pg_restore"), `--dbname=${fresh.admin}`, file);
      return fresh;
    };
  },
});

/** By the server itself, where those tools are not; it copies a database that nobody is connected to. */
const byCopy = {
  make: () => newDatabase(),
  async dump({ admin: source }: Database): Promise<() => Promise<Database>> {
    const name = new URL(source).pathname.slice(1);
    const admin = process.env.DATABASE_URL ?? "";
    await query(admin, `ALTER DATABASE ${name} ALLOW_CONNECTIONS false`);
    await query(admin, "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = $1", [
      name,
    ]);
    const copied = await newDatabase(name);
    await query(admin, `ALTER DATABASE ${name} ALLOW_CONNECTIONS true`);
    return async () => copied;
  },
};

async function restore(): Promise<void> {
  const programs = findPrograms();
  const { make, dump } = programs === null ? byCopy : byTools(programs);
  const lost = await make();
  const old = await startOneProcess(lost.env);
  try {
    ada = await buildPerson(old);
    kept = await buildTask(ada, { title: "Kept" });
    bob = await buildPerson(old);
    const place = async ({ http }: Person) => Number((await http.get<Changes>("/changes")).body.nextSince);
    known = await place(ada);
    await query(lost.admin, "CREATE SCHEMA focus");
    await query(lost.admin, "CREATE TABLE focus.pins AS SELECT 'Pinned' AS title");
    const bringBack = await dump(lost);
    await ada.http.patch(`/tasks/${kept.id}`, { title: "Lost" });
    await buildTask(ada, { title: "Lost, too" });
    unknown = await place(ada);
    await buildTask(bob, { title: "Lost" });
    bobs = await place(bob);
    database = await bringBack();
  } finally {
    await old.stop();
  }
  await query(database.admin, lift);
  const { AUTH_SECRET = "", MESH_NAMESPACE = "" } = old.env;
  restored = await startOneProcess({ ...database.env, AUTH_SECRET, MESH_NAMESPACE });
}

describe("a database restored from a back-up", () => {
  beforeAll(restore, 120_000);
  afterAll(async () => {
    await restored?.stop();
    await Promise.all(drops.map((drop) => drop()));
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
    const his = httpFor(restored, bob.tokens.accessToken);
    for (const title of ["1", "2"]) await his.post("/tasks", { title });
    expect((await his.get(`/changes?since=${bobs}`)).status).toBe(410);
    expect((await his.get<Changes>("/changes")).body.changes).toHaveLength(2);
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

  test("has the schema of a service that joined later", async () => {
    expect(await query(database.admin, "SELECT title FROM focus.pins")).toEqual([{ title: "Pinned" }]);
  });

  test("takes a new AUTH_SECRET for its keys: tokens hold, refresh tokens don't, and a wrong old one changes nothing", async () => {
    const { AUTH_SECRET: before = "", MESH_NAMESPACE = "" } = restored.env;
    const after = randomBytes(32).toString("base64url");
    const { refreshToken, accessToken } = await signIn(restored, ada);
    await restored.stop();
    const keys = (command: string, env: Record<string, string>) =>
      runOwned([process.execPath, "scripts/keys.ts", command], {
        env: { PATH, NODE_COMPILE_CACHE, ...database.env, ...env },
      });
    const wrong = randomBytes(32).toString("base64url");
    expect(await keys("reseal", { AUTH_SECRET: after, OLD_AUTH_SECRET: wrong })).toMatchObject({
      code: 1,
      output: expect.stringMatching(/Nothing changed/),
    });
    expect(await keys("reseal", { AUTH_SECRET: after, OLD_AUTH_SECRET: before })).toMatchObject({
      code: 0,
    });
    expect(await keys("rotate", { AUTH_SECRET: wrong })).toMatchObject({
      code: 1,
      output: expect.stringMatching(/Nothing changed/),
    });
    expect(await keys("rotate", { AUTH_SECRET: after })).toMatchObject({ code: 0 });

    restored = await startOneProcess({ ...database.env, AUTH_SECRET: after, MESH_NAMESPACE });
    expect((await httpFor(restored, accessToken).get("/tasks")).status).toBe(200);
    expect((await httpFor(restored).post("/auth/refresh", { refreshToken })).status).toBe(401);
    await signIn(restored, ada);
  }, 60_000);
});
