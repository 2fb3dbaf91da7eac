export default async function globalTeardown(): Promise<void> {
  if ("stopTestSystems" in globalThis && typeof globalThis.stopTestSystems === "function") {
    await globalThis.stopTestSystems();
  }
}
