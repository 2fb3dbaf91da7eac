/** Milliseconds between two looks at a better clock: it is no further off than two clocks drift apart in that time. */
const SET_EVERY = 60_000;

/** What is added to the time that this process has been running, which nobody can set. */
let offset: number | undefined;

/**
 * Milliseconds since 1970: the machine's time until `keepTime` knows better. Whatever signs, or judges what is signed, asks
 * this clock.
 */
export const clock = (): number =>
  offset === undefined ? Date.now() : Math.floor(offset + performance.now());

/**
 * Takes the time from where all replicas take it, such as their database: then tokens end at one moment for all, whatever
 * the clock of a machine says or is set to.
 *
 * @param read milliseconds since 1970
 * @param onError told when it can't be read; the clock goes on by itself
 * @returns what stops it; rejects when it can't be read the first time
 */
export async function keepTime(
  read: () => Promise<number>,
  onError: (error: unknown) => void,
): Promise<() => void> {
  async function set(): Promise<void> {
    const asked = performance.now();
    const time = await read();
    // It was read at some moment between question and answer.
    offset = time - (asked + performance.now()) / 2;
  }
  await set();
  const timer = setInterval(() => void set().catch(onError), SET_EVERY);
  return () => {
    clearInterval(timer);
    offset = undefined;
  };
}
