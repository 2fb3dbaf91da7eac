import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadEnv } from "../../config/env.ts";

/** Where the database of a running `npm start` is, for scripts beside it. */
interface Running {
  databaseUrl: string;
  authSecret: string;
}

const fileIn = (folder: string): string => join(folder, "running.json");

export function noteRunning(folder: string, running: Running): { stop(): Promise<void> } {
  writeFileSync(fileIn(folder), JSON.stringify(running), { mode: 0o600 });
  return {
    async stop() {
      rmSync(fileIn(folder), { force: true });
    },
  };
}

/** Lets a script work on the database of the running `npm start`, unless one is set. */
export function useRunningDatabase(): void {
  const { DATA_DIR, AUTH_DATABASE_URL } = loadEnv();
  if (AUTH_DATABASE_URL !== undefined) return;
  try {
    const { databaseUrl, authSecret }: Running = JSON.parse(readFileSync(fileIn(DATA_DIR), "utf8"));
    process.env.DATABASE_URL = databaseUrl;
    process.env.AUTH_SECRET ||= authSecret;
  } catch {
    console.error(`No Taskmesh runs on ${DATA_DIR}: start it (npm start), or set DATABASE_URL.`);
    process.exit(1);
  }
}
