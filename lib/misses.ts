/** Milliseconds. */
const COOLDOWN = 5_000;

/**
 * How often what is not known is looked for again: names that somebody makes up must not turn every call into a question.
 * What was found does not count, so that something new is known at once.
 */
export function createMisses(clock: () => number) {
  let missedAt = Number.NEGATIVE_INFINITY;
  // Whichever way: a clock may have been set back.
  const mayLook = (): boolean => Math.abs(clock() - missedAt) > COOLDOWN;
  return {
    mayLook,
    /** It was looked for in vain, or not at all. */
    note(): void {
      if (mayLook()) missedAt = clock();
    },
  };
}
