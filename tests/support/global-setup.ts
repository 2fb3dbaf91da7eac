import { createDatabase } from "./database.ts";
import { migrate, type RunningSystem, type System, startMesh, startOneProcess } from "./system.ts";

declare global {
  /** Set here, called by global-teardown.ts: both run in Jest's own process. */
  var stopTestSystems: (() => Promise<unknown>) | undefined;
}

/** Both modes run once for all test files; `systems.ts` hands them to the tests. */
export default async function globalSetup(): Promise<void> {
  // Once for the run: a copy costs a fraction of what migrating does.
  const template = await createDatabase();
  await migrate({ DATABASE_URL: template.url });
  process.env.TASKMESH_TEST_TEMPLATE = new URL(template.url).pathname.slice(1);

  const running: RunningSystem[] = await Promise.all([startOneProcess(), startMesh()]);
  const systems: System[] = running.map(({ mode, baseUrl, databaseUrl, namespace, env }) => ({
    mode,
    baseUrl,
    databaseUrl,
    namespace,
    env,
  }));
  process.env.TASKMESH_TEST_SYSTEMS = JSON.stringify(systems);
  globalThis.stopTestSystems = () => Promise.all(running.map((system) => system.stop()));
}
