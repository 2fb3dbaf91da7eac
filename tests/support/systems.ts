import type { System } from "./system.ts";

/** The two ways to run Taskmesh, for `describe.each`: the same assertions hold in both. */
export const systems: [string, System][] = JSON.parse(process.env.TASKMESH_TEST_SYSTEMS ?? "[]").map(
  (system: System) => [system.mode, system],
);
