/** Milliseconds between two looks at a better clock: it is no further off than two clocks drift apart in that time. */
const SET_EVERY = 60_000;
/** Milliseconds between two looks whether the machine was asleep, which stops the time that a process has been running. */
const LOOK_EVERY = 1_000;
/** Milliseconds that the machine's two clocks may drift apart in between. */
const DRIFT = 1_000;
/** Readings of which the quickest counts: one may have waited for a connection. */
const READINGS = 3;

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
  let stopped = false;
  /** What the machine's own clock was ahead of the process's running time when the time was taken. */
  let gap = 0;

  async function set(): Promise<void> {
    let best = { took: Number.POSITIVE_INFINITY, offset: 0 };
    for (let n = 0; n < READINGS; n++) {
      const asked = performance.now();
      const time = await read();
      const answered = performance.now();
      // It was read at some moment between question and answer.
      const reading = { took: answered - asked, offset: time - (asked + answered) / 2 };
      if (reading.took < best.took) best = reading;
    }
    if (stopped) return;
    offset = best.offset;
    gap = Date.now() - performance.now();
  }
  await set();
  let setting: Promise<void> | undefined;
  let due = performance.now() + SET_EVERY;
  const timer = setInterval(() => {
    const slept = Math.abs(Date.now() - performance.now() - gap) > DRIFT;
    if (setting || (!slept && performance.now() < due)) return;
    due = performance.now() + SET_EVERY;
    setting = set()
      .catch(onError)
      .finally(() => {
        setting = undefined;
      });
  }, LOOK_EVERY);
  return () => {
    stopped = true;
    clearInterval(timer);
    offset = undefined;
  };
}
