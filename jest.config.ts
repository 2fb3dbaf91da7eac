import type { Config } from "jest";

/** TypeScript is stripped by swc to CommonJS; `.ts` import paths resolve as they stand. */
const config: Config = {
  testEnvironment: "node",
  testMatch: ["**/*.test.ts"],
  testPathIgnorePatterns: ["/node_modules/", "/.data/", "<rootDir>/.stryker-tmp/"],
  modulePathIgnorePatterns: ["<rootDir>/.stryker-tmp/"],
  transform: {
    "\\.[cm]?[jt]s$": [
      "@swc/jest",
      { jsc: { parser: { syntax: "typescript" }, target: "es2024" }, module: { type: "commonjs" } },
    ],
  },
  transformIgnorePatterns: ["/node_modules/(?!(uuid|temporal-\\w+|lru-cache|p-limit|yocto-queue)/)"],
  testSequencer: "./tests/support/sequencer.cjs",
  globalSetup: "./tests/support/global-setup.ts",
  globalTeardown: "./tests/support/global-teardown.ts",
  // Most of a test's time is waiting for processes it started: fewer would leave two cores idle.
  maxWorkers: 3,
  testTimeout: 30_000,
};

export default config;
