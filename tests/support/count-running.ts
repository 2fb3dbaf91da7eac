/** A function and the most calls of it that ran at a time. */
export function countRunning<A extends unknown[], R>(work: (...given: A) => Promise<R>) {
  let running = 0;
  let most = 0;
  return {
    async counted(...given: A): Promise<R> {
      running += 1;
      most = Math.max(most, running);
      try {
        return await work(...given);
      } finally {
        running -= 1;
      }
    },
    most: (): number => most,
  };
}
