/** What global-setup.ts left: both files run in Jest's own process. */
export default async function globalTeardown(): Promise<void> {
  const { stopTestSystems }: { stopTestSystems?: () => Promise<unknown> } = globalThis;
  await stopTestSystems?.();
}
