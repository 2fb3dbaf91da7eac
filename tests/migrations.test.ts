import { type ChildProcess, spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import { migrateDown, migrateUp, migrationStatus } from "../mixins/migrations.ts";
import { createDatabase, query } from "./support/database.ts";

const ROOT = join(import.meta.dirname, "..");
const NODE = join(ROOT, "node_modules", ".bin", "node");
const SCHEMAS = ["auth", "tasks"] as const;

interface Urls {
  auth: string;
  tasks: string;
}

function spawnMigrate({ auth, tasks }: Urls, ...args: string[]): ChildProcess {
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE,
    AUTH_DATABASE_URL: auth,
    TASKS_DATABASE_URL: tasks,
  };
  return spawn(NODE, ["scripts/migrate.ts", ...args], { cwd: ROOT, env, stdio: ["ignore", "pipe", "pipe"] });
}

/** `npm run migrate` as its own process, where that is what matters. */
async function migrate(urls: Urls, ...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawnMigrate(urls, ...args);
  let output = "";
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on("data", (chunk) => {
      output += chunk;
    });
  }
  const [code] = await once(child, "close");
  return { code, output };
}

/** Points what runs in this process at these databases. */
const pointAt = ({ auth, tasks }: Urls): object =>
  Object.assign(process.env, { AUTH_DATABASE_URL: auth, TASKS_DATABASE_URL: tasks });

/** The names of the migrations that there are, oldest first. */
const available = async (schema: string): Promise<string[]> =>
  (await readdir(join(ROOT, "services", schema, "migrations")))
    .map((file) => file.replace(/\.ts$/, ""))
    .toSorted();

/** What a database has of ours: the tables of each schema, and the migrations that are recorded. */
async function stateOf(url: string) {
  const tables = await query(
    url,
    "SELECT schemaname || '.' || tablename AS name FROM pg_tables WHERE schemaname IN ('auth', 'tasks') ORDER BY 1",
  );
  const names = tables.map(({ name }) => String(name));
  const applied: Record<string, string[]> = {};
  for (const schema of SCHEMAS) {
    const recorded = names.includes(`${schema}.migrations`)
      ? await query(url, `SELECT name FROM ${schema}.migrations ORDER BY name`)
      : [];
    applied[schema] = recorded.map(({ name }) => String(name));
  }
  return { applied, tables: names.filter((name) => !name.endsWith(".migrations")) };
}

const OURS = "(SELECT oid FROM pg_namespace WHERE nspname IN ('auth', 'tasks'))";

/** Everything of ours that a database has, but for the records of migrations: as text, so that it can be compared. */
const shapeOf = async (url: string): Promise<unknown[]> => {
  const shape = await query(
    url,
    `SELECT format('column %s.%s %s %s %s', table_name, column_name, data_type, is_nullable, column_default) AS part
       FROM information_schema.columns WHERE table_schema IN ('auth', 'tasks') AND table_name <> 'migrations'
     UNION ALL SELECT indexdef FROM pg_indexes
       WHERE schemaname IN ('auth', 'tasks') AND tablename <> 'migrations'
     UNION ALL SELECT format('rule %s %s', conrelid::regclass, pg_get_constraintdef(oid)) FROM pg_constraint
       WHERE connamespace IN ${OURS} AND conname <> 'migrations_pkey'
     UNION ALL SELECT format('function %s', proname) FROM pg_proc WHERE pronamespace IN ${OURS}
     UNION ALL SELECT format('type %s', typname) FROM pg_type WHERE typnamespace IN ${OURS} AND typtype IN ('e', 'd')
     UNION ALL SELECT pg_get_triggerdef(oid) FROM pg_trigger WHERE NOT tgisinternal
     ORDER BY 1`,
  );
  return shape.map(({ part }) => part);
};

let url: string;
let urls: Urls;
let drop: () => Promise<void>;
let all: Record<string, string[]>;

beforeEach(async () => {
  ({ url, drop } = await createDatabase());
  urls = { auth: url, tasks: url };
  pointAt(urls);
  all = Object.fromEntries(
    await Promise.all(SCHEMAS.map(async (schema) => [schema, await available(schema)])),
  );
});
afterEach(() => drop());

describe("migrations", () => {
  it("go up from nothing, down by one, down to nothing of ours, and up again to the same", async () => {
    await migrateUp();
    const full = await shapeOf(url);
    expect(full).toContainEqual(expect.stringContaining("tasks_created"));
    expect((await stateOf(url)).applied).toEqual(all);

    await migrateDown("newest");
    const withoutNewest = Object.entries(all).map(([schema, names]) => [schema, names.slice(0, -1)]);
    expect((await stateOf(url)).applied).toEqual(Object.fromEntries(withoutNewest));
    await migrateUp();
    expect(await shapeOf(url)).toEqual(full);

    await migrateDown("all");
    expect((await stateOf(url)).applied).toEqual({ auth: [], tasks: [] });
    expect(await shapeOf(url)).toEqual([]);

    await migrateUp();
    expect(await shapeOf(url)).toEqual(full);
  });

  it("change nothing the second time, and say what is applied", async () => {
    await migrateUp();
    const before = await query(url, "SELECT key FROM tasks.cursor_key");
    const { code, output } = await migrate(urls, "up");

    expect(code).toBe(0);
    for (const [schema, names] of Object.entries(all)) {
      for (const name of names) expect(output).toContain(`${schema}  applied  ${name}`);
    }
    expect(await query(url, "SELECT key FROM tasks.cursor_key")).toEqual(before);
  });

  it("are each applied once when five processes start at once", async () => {
    const runs = await Promise.all(Array.from({ length: 5 }, () => migrate(urls, "up")));

    expect(runs.map(({ code, output }) => (code === 0 ? 0 : output))).toEqual([0, 0, 0, 0, 0]);
    expect((await stateOf(url)).applied).toEqual(all);
    expect(await query(url, "SELECT count(*)::int FROM tasks.cursor_key")).toEqual([{ count: 1 }]);
  });

  it("show what is pending without applying it", async () => {
    const pending = await migrationStatus();

    expect(pending).toEqual(SCHEMAS.map((schema) => ({ schema, applied: [], pending: all[schema] })));
    expect((await stateOf(url)).tables).toEqual([]);
  });

  const UNKNOWN = [
    "down --help",
    "down --al",
    "down --all tasks",
    "up --dry-run",
    "status down",
    "toString",
    "",
  ];
  it.each(UNKNOWN)("change nothing when they are asked for by '%s', which is not known", async (line) => {
    await migrateUp();
    const before = await stateOf(url);
    const { code, output } = await migrate(urls, ...line.split(" ").filter(Boolean));

    expect([code, output]).toEqual([2, expect.stringMatching(/^Usage: npm run migrate/)]);
    expect(await stateOf(url)).toEqual(before);
  });

  it("leave a schema whole or untouched when their process is killed in the middle", async () => {
    await migrateUp();
    await migrateDown("all");
    // Everything is made, and only the record that says so has to wait.
    const blocker = new Client({ connectionString: url });
    await blocker.connect();
    await blocker.query("BEGIN; LOCK TABLE tasks.migrations IN SHARE MODE");
    const child = spawnMigrate(urls, "up");
    const exited = once(child, "exit");
    await waitFor(async () => {
      const waiting =
        "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
      return (await query(url, waiting)).length > 0;
    });
    child.kill("SIGKILL");
    await exited;
    await blocker.query("ROLLBACK");
    await blocker.end();

    const after = await stateOf(url);
    expect(after.applied).toEqual({ auth: all.auth, tasks: [] });
    expect(after.tables.filter((name) => name.startsWith("tasks."))).toEqual([]);
    await migrateUp();
    expect((await stateOf(url)).applied).toEqual(all);
  });

  it("that fail change nothing, and say why without a password", async () => {
    await query(url, "CREATE SCHEMA tasks");
    await query(url, "CREATE TABLE tasks.cursor_key (in_the_way int)");
    await expect(migrateUp()).rejects.toThrow(/cursor_key/);
    expect((await stateOf(url)).tables.filter((name) => name.startsWith("tasks."))).toEqual([
      "tasks.cursor_key",
    ]);

    const wrong = new URL(url);
    wrong.password = "hunter2";
    wrong.port = "1";
    const { code, output } = await migrate({ auth: wrong.href, tasks: wrong.href }, "up");
    expect([code, output]).toEqual([1, expect.stringContaining("ECONNREFUSED")]);
    expect(output).not.toContain("hunter2");
  });
});

describe("a migration while services run", () => {
  it("lets others use a table that it has to wait for", async () => {
    await migrateUp();
    const reader = new Client({ connectionString: url });
    await reader.connect();
    // As a dump does, for as long as it takes.
    await reader.query("BEGIN; LOCK TABLE tasks.tasks IN ACCESS SHARE MODE");
    const done: string[] = [];
    const migrating = migrateDown("all").then(() => done.push("migrated"));
    const waits = "wait_event_type = 'Lock' AND datname = current_database()";
    await waitFor(async () => (await query(url, `SELECT FROM pg_stat_activity WHERE ${waits}`)).length > 0);
    await query(url, "SELECT FROM tasks.tasks").then(() => done.push("read"));
    await reader.query("COMMIT");
    await reader.end();
    await migrating;

    expect(done).toEqual(["read", "migrated"]);
    expect((await stateOf(url)).tables).toEqual([]);
  });

  it("says which schema was migrated before another failed", async () => {
    const wrong = new URL(url);
    wrong.port = "1";
    const { code, output } = await migrate({ auth: url, tasks: wrong.href }, "up");
    expect(code).toBe(1);
    expect(output).toMatch(/tasks.*ECONNREFUSED/);
    expect(output).toMatch(/auth is migrated/);
    expect((await stateOf(url)).applied.auth).toEqual(all.auth);
  });
});

describe("migrations with a role for each service", () => {
  const roles = {
    auth: `auth_${randomBytes(4).toString("hex")}`,
    tasks: `tasks_${randomBytes(4).toString("hex")}`,
  };
  const as = (role: string): string => {
    const changed = new URL(url);
    changed.username = role;
    changed.password = role;
    return changed.href;
  };

  beforeEach(async () => {
    // As the compose file's database has it: each role owns its schema and may create no other.
    await query(url, `REVOKE ALL ON DATABASE ${new URL(url).pathname.slice(1)} FROM PUBLIC`);
    for (const [schema, role] of Object.entries(roles)) {
      await query(url, `CREATE ROLE ${role} LOGIN PASSWORD '${role}' NOSUPERUSER`);
      await query(url, `GRANT CONNECT ON DATABASE ${new URL(url).pathname.slice(1)} TO ${role}`);
      await query(url, `CREATE SCHEMA ${schema} AUTHORIZATION ${role}`);
    }
    urls = { auth: as(roles.auth), tasks: as(roles.tasks) };
    pointAt(urls);
  });
  afterEach(async () => {
    for (const role of Object.values(roles)) {
      await query(url, `DROP OWNED BY ${role} CASCADE`);
      await query(url, `DROP ROLE ${role}`);
    }
  });

  it("need no right but to their own schema, up and down", async () => {
    await expect(query(urls.auth, "CREATE SCHEMA more")).rejects.toThrow(/permission denied/);
    await migrateUp();
    expect((await stateOf(url)).applied).toEqual(all);

    for (const [reader, table] of [
      ["auth", "tasks.tasks"],
      ["auth", "tasks.migrations"],
      ["tasks", "auth.users"],
      ["tasks", "auth.signing_keys"],
    ] as const) {
      await expect(query(urls[reader], `SELECT * FROM ${table}`)).rejects.toThrow(/permission denied/);
      await expect(query(urls[reader], `DELETE FROM ${table}`)).rejects.toThrow(/permission denied/);
    }
    await migrateDown("all");
    expect((await stateOf(url)).tables).toEqual([]);
  });
});

/** Looks until it is so; each look is a connection. */
async function waitFor(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await delay(20);
}
