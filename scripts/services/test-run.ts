import { existsSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { onServers, type Servers } from "./on-servers.ts";
import { spawnOwned } from "./owned-process.ts";
import { judge, type Verdict } from "./test-report.ts";

export interface TestRun extends Servers {
  /** Runs Jest with these arguments, on the servers of the run. */
  jest: (args: string[], env?: Record<string, string>) => Promise<Verdict>;
}

/** Lets `work` run tests on PostgreSQL and RabbitMQ (`onServers`). Sets the exit code. */
export async function runTests(name: string, work: (run: TestRun) => Promise<Verdict>): Promise<Verdict> {
  let verdict: Verdict = { passed: 0, failed: 1, complaints: [] };
  await onServers(name, async (servers) => {
    verdict = await work({ ...servers, jest: (args, env) => runJest(servers, args, env) });
    for (const complaint of verdict.complaints) servers.log(complaint);
    return verdict.failed + verdict.complaints.length === 0 ? 0 : 1;
  });
  return verdict;
}

async function runJest(
  { directory, env }: Servers,
  args: string[],
  more: Record<string, string> = {},
): Promise<Verdict> {
  const reportFile = join(directory, "report.json");
  rmSync(reportFile, { force: true });
  const jest = ["node_modules/jest/bin/jest.js", "--config", "jest.config.ts"];
  const reporting = ["--json", `--outputFile=${reportFile}`];
  const exitCode = await spawnOwned(
    [process.execPath, ...jest, ...reporting, ...args],
    ["inherit", "inherit", "inherit"],
    { env: { ...env, ...more } },
  ).exited;
  const report = existsSync(reportFile) ? JSON.parse(readFileSync(reportFile, "utf8")) : null;
  return judge(report, exitCode, process.env.CI === "true");
}
