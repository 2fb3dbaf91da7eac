// `npm run mutate`: what is mutated, what is not and why is in docs/decisions/0017-mutation-testing.md.

export default {
  mutate: ["services/auth/*.{logic,repository}.ts"],
  testRunner: "jest",
  jest: {
    config: {
      testMatch: ["<rootDir>/services/auth/**/*.test.ts"],
      // They start whole systems, which run none of the changed code.
      globalSetup: null,
      globalTeardown: null,
      // Milliseconds. A test that waits for what no longer happens fails before Stryker would have to end its worker.
      testTimeout: 8_000,
    },
  },
  plugins: ["@stryker-mutator/jest-runner"],
  coverageAnalysis: "perTest",
  ignoreStatic: true,
  concurrency: 2,
  timeoutMS: 10_000,
  // Jest leaves what it loaded behind: a worker that has run for long is mostly busy with its memory.
  maxTestRunnerReuse: 40,
  // Stryker would rewrite it by an API that TypeScript 7 no longer has; swc does not read it.
  tsconfigFile: "none",
  reporters: ["progress-append-only", "clear-text", "html", "json"],
  clearTextReporter: { allowColor: false, logTests: false },
  thresholds: { high: 95, low: 90, break: 85 },
};
