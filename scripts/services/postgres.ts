import { readdirSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { startEmbeddedPostgres } from "../embedded/embedded-postgres.ts";
import { unpackPackage } from "./debian-packages.ts";
import { brewInstall } from "./homebrew.ts";
import { isListening } from "./network.ts";
import { startPostgres, startPostgresInDocker } from "./postgres-server.ts";
import { findProgram } from "./programs.ts";
import { type OpenOptions, openFirst, type Source, type TestServer } from "./source.ts";
import { openTestDatabases } from "./test-databases.ts";

const ADVICE =
  "Start PostgreSQL on 127.0.0.1:5432 (user postgres, password postgres), or set DATABASE_URL to a user that may " +
  "create databases, or install one of: the optional npm packages (npm ci --include=optional); Docker; the " +
  "package postgresql (Debian, Ubuntu, Fedora, Alpine); postgresql@18 (Homebrew).";

/**
 * A PostgreSQL for one test run: the given one, the one on this machine, or one of its own. Its URL is of a user
 * who may create databases; the tests create theirs, named `taskmesh_test_<run>_<n>`.
 */
export async function openPostgres(
  options: OpenOptions,
  sources = [runningPostgres(options), ...ownPostgres(options)],
): Promise<TestServer> {
  const { url, run } = options;
  if (!url) return openFirst("PostgreSQL", sources, ADVICE, options);
  const given = { name: "DATABASE_URL", open: () => openTestDatabases([url], run) };
  return openFirst("PostgreSQL", [given], "DATABASE_URL is set, so nothing else was tried.", options);
}

const runningPostgres = ({ run }: OpenOptions): Source => ({
  name: "127.0.0.1:5432",
  open: async () => ((await isListening(5432)) ? openTestDatabases(localUrls(), run) : null),
});

/** The ways to a PostgreSQL that only this run uses. */
export function ownPostgres({ directory, log }: OpenOptions): Source[] {
  const installed = async (): Promise<TestServer | null> => {
    const initdb = findProgram("initdb");
    return initdb === null ? null : startPostgres({ programs: dirname(initdb), directory });
  };
  return [
    { name: "embedded PostgreSQL", open: () => startEmbedded(directory, log) },
    { name: "installed PostgreSQL", open: installed },
    { name: "Docker", open: startPostgresInDocker },
    { name: "Homebrew", open: async () => ((await brewInstall("postgresql@18")) ? installed() : null) },
    {
      name: "distribution package",
      async open() {
        const unpacked = await unpackPackage("postgresql", log);
        if (unpacked === null) return null;
        const versions = join(unpacked.root, "usr/lib/postgresql");
        const [version = ""] = readdirSync(versions);
        return startPostgres({ programs: join(versions, version, "bin"), directory, env: unpacked.env });
      },
    },
  ];
}

/** Whom a PostgreSQL that nobody configured, and the usual container, let in. */
const localUrls = (): string[] =>
  ["postgres:postgres", "postgres", process.env.USER ?? "postgres"].map(
    (user) => `postgres://${user}@127.0.0.1:5432/postgres`,
  );

async function startEmbedded(directory: string, log: (line: string) => void): Promise<TestServer> {
  const dataDir = join(directory, "postgres");
  const server = await startEmbeddedPostgres({ dataDir, database: "postgres", durable: false, log });
  return {
    url: server.url,
    description: `embedded, its own on port ${server.port}`,
    async release() {
      await server.stop();
      rmSync(server.folder, { recursive: true, force: true });
    },
  };
}
