import { spawnOwned } from "./owned-process.ts";
import { findProgram } from "./programs.ts";

/** Installs a formula. `false` without Homebrew, or when it failed. */
export async function brewInstall(formula: string): Promise<boolean> {
  const brew = findProgram("brew");
  if (brew === null) return false;
  return (
    (await spawnOwned([brew, "install", "--quiet", formula], ["ignore", "inherit", "inherit"]).exited) === 0
  );
}
