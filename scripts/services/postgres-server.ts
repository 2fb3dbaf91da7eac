import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { freePort } from "../embedded/ports.ts";
import { startContainer } from "./docker.ts";
import { runOwned, spawnOwned } from "./owned-process.ts";
import { type TestServer, whenAnswering } from "./source.ts";
import { askPostgres } from "./test-databases.ts";

/** Nothing in it outlives the run, so nothing has to reach the disk. */
const THROW_AWAY = ["-c", "fsync=off", "-c", "synchronous_commit=off", "-c", "full_page_writes=off"];

/**
 * Starts a PostgreSQL of its own on a free port of 127.0.0.1, from the folder of its programs, with its files in
 * `directory`. It ends with this process, however that ends. Where one was started before, and killed, its data is
 * found again.
 *
 * @throws an Error with the end of its log when it does not come up
 */
export async function startPostgres(options: {
  programs: string;
  directory: string;
  env?: NodeJS.ProcessEnv;
  port?: number;
  /** Whether what was committed outlives a kill -9. */
  durable?: boolean;
}): Promise<TestServer> {
  const home = join(options.directory, "postgres");
  const data = join(home, "data");
  const passwordFile = join(home, "password");
  const isNew = !existsSync(passwordFile);
  const password = isNew ? randomBytes(18).toString("hex") : readFileSync(passwordFile, "utf8");
  const user = unprivilegedUser();
  const as = { ...user, cwd: "/", env: { ...process.env, ...options.env, LC_ALL: "C" } };
  if (isNew) {
    mkdirSync(home, { recursive: true });
    writeFileSync(passwordFile, password, { mode: 0o600 });
    for (const path of user ? [home, passwordFile] : []) chownSync(path, user?.uid ?? 0, user?.gid ?? 0);
    const initdb = join(options.programs, "initdb");
    const settings = ["--username=postgres", "--auth=scram-sha-256", "--encoding=UTF8", "--no-sync"];
    const made = await runOwned([initdb, `--pgdata=${data}`, `--pwfile=${passwordFile}`, ...settings], as);
    if (made.code !== 0) throw new Error(`initdb failed: ${made.output.trim().slice(-800)}`);
  }

  const port = options.port ?? (await freePort());
  const log = openSync(join(home, "log"), "a");
  const listen = ["-p", String(port), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="];
  // In its own folder: a killed server would leave files in the system's shared memory.
  const memory = ["-c", "dynamic_shared_memory_type=mmap"];
  const postgres = join(options.programs, "postgres");
  const server = spawnOwned(
    [postgres, "-D", data, ...listen, ...memory, ...(options.durable ? [] : THROW_AWAY)],
    ["ignore", log, log],
    as,
  );
  closeSync(log);
  return whenAnswering({
    url: `postgres://postgres:${password}@127.0.0.1:${port}/postgres`,
    where: `its own on port ${port}`,
    ask: askPostgres,
    pid: server.pid,
    exited: server.exited,
    log: () => readFileSync(join(home, "log"), "utf8"),
    async release() {
      await server.interrupt();
      rmSync(home, { recursive: true, force: true, maxRetries: 10 });
    },
  });
}

/** PostgreSQL refuses to run as root. */
function unprivilegedUser(): { uid: number; gid: number } | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "nobody"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** `null` without Docker. */
export async function startPostgresInDocker(): Promise<TestServer | null> {
  const password = randomBytes(18).toString("hex");
  const container = await startContainer({
    image: "postgres:18-alpine",
    command: `docker-entrypoint.sh postgres ${THROW_AWAY.join(" ")}`,
    port: 5432,
    env: { POSTGRES_PASSWORD: password },
  });
  return (
    container &&
    whenAnswering({
      ...container,
      url: `postgres://postgres:${password}@127.0.0.1:${container.port}/postgres`,
      ask: askPostgres,
    })
  );
}
