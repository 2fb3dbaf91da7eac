/** What is used of Jest's `--json` report. */
export interface JestReport {
  numPassedTests: number;
  numFailedTests: number;
  /** Test files that did not run: they don't compile, or an import failed. */
  numRuntimeErrorTestSuites: number;
  testResults: { assertionResults: { fullName: string; status: string }[] }[];
}

export interface Verdict {
  passed: number;
  failed: number;
  /** Reasons to fail beside a failed test. */
  complaints: string[];
}

/**
 * Judges a test run. A file that did not run counts as one failure.
 *
 * @param report `null` when Jest wrote none
 * @param exitCode Jest's
 * @param strict whether a skipped test is a failure: it is in CI, where nobody would notice
 */
export function judge(report: JestReport | null, exitCode: number, strict: boolean): Verdict {
  if (report === null) return { passed: 0, failed: 1, complaints: ["Jest ended before it could report."] };
  const passed = report.numPassedTests;
  const failed = report.numFailedTests + report.numRuntimeErrorTestSuites;
  const tests = report.testResults.flatMap((file) => file.assertionResults);
  const skipped = tests.filter(({ status }) => ["pending", "todo", "skipped", "disabled"].includes(status));
  const complaints = strict
    ? skipped.map(({ fullName }) => `Skipped, which CI does not allow: ${fullName}`)
    : [];
  if (exitCode !== 0 && failed === 0) complaints.push(`Jest exited with ${exitCode}.`);
  if (passed + failed === 0) complaints.push("No test ran.");
  return { passed, failed, complaints };
}
