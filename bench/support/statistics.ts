/** @param share 0.99 for what 99 of 100 values are at most; NaN of none */
export const quantile = (values: readonly number[], share: number): number =>
  values.toSorted((a, b) => a - b)[Math.min(values.length - 1, Math.floor(values.length * share))] ??
  Number.NaN;

export const median = (values: readonly number[] = []): number => quantile(values, 0.5);

/** Milliseconds, for people. */
export const inShort = (times: readonly number[]): string => {
  const at = (share: number): string => quantile(times, share).toFixed(2);
  return `p50 ${at(0.5)} ms   p99 ${at(0.99)} ms   (${times.length} times)`;
};
