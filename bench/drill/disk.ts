import { execFileSync } from "node:child_process";
import { appendFileSync, mkdtempSync, readFileSync, rmdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { freePort, ready, start, stopProcess } from "../../tests/support/system.ts";

/** Room for an embedded PostgreSQL and little else. */
const SIZE = "160m";

/** What `npm start` runs, with its data on a disk that can be filled. */
export interface SmallDisk {
  baseUrl: string;
  databaseUrl: string;
  fill(): void;
  free(): void;
  /** Ids of processes that ended by themselves. */
  died(): string[];
  stop(): Promise<void>;
}

/** @throws when a disk can't be made: on Linux root can */
export async function startOnSmallDisk(): Promise<SmallDisk> {
  const disk = mkdtempSync(join(tmpdir(), "taskmesh-drill-"));
  execFileSync("mount", ["-t", "tmpfs", "-o", `size=${SIZE},mode=0755`, "tmpfs", disk], { stdio: "ignore" });
  const port = String(await freePort());
  const filler = join(disk, "filler");
  const free = (): void => rmSync(filler, { force: true });
  const { child } = await start("all", ["scripts/start.ts"], {
    DATA_DIR: join(disk, "data"),
    HOST: "127.0.0.1",
    PORT: port,
    BCRYPT_COST: "8",
    RATE_LIMIT: "off",
    LOG_LEVEL: "warn",
    ...(process.env.DRILL_OUTPUT ? { TEST_OUTPUT: process.env.DRILL_OUTPUT } : {}),
  });
  process.once("exit", () => child.kill("SIGKILL"));
  const baseUrl = `http://127.0.0.1:${port}`;
  await ready(child, `${baseUrl}/health/ready`);
  const { databaseUrl } = JSON.parse(readFileSync(join(disk, "data", "running.json"), "utf8"));
  return {
    baseUrl,
    databaseUrl,
    fill() {
      try {
        for (;;) appendFileSync(filler, Buffer.alloc(2 ** 16));
      } catch {
        // That was the last room there was.
      }
    },
    free,
    died: () => (child.exitCode === null && child.signalCode === null ? [] : [`all (${child.exitCode})`]),
    async stop() {
      free();
      await stopProcess(child);
      execFileSync("umount", ["-l", disk]);
      rmdirSync(disk);
    },
  };
}
