/**
 * A time that the server chose: within bounds until an answer shows it, exact from then on. Whoever shares a moment
 * must be shown the same time.
 */
export interface Moment {
  earliest: number;
  latest: number;
}

/** Milliseconds that the clock of the database may differ from the test's. */
const SKEW = 1_000;

/** Some time while a request was under way. */
export const during = (sentAt: number, answeredAt: number): Moment => ({
  earliest: sentAt - SKEW,
  latest: answeredAt + SKEW,
});

/** @throws when the answer shows another time than this moment can be */
export function assertMoment(shown: unknown, moment: Moment | null, what: string): void {
  if (moment === null) {
    if (shown !== null) throw new Error(`${what} is ${shown}, and must be null`);
    return;
  }
  const time = typeof shown === "string" ? Date.parse(shown) : Number.NaN;
  if (!(time >= moment.earliest && time <= moment.latest)) {
    const [from, to] = [moment.earliest, moment.latest].map((each) => new Date(each).toISOString());
    throw new Error(`${what} is ${shown}, and must be ${from === to ? from : `from ${from} to ${to}`}`);
  }
  moment.earliest = time;
  moment.latest = time;
}

/** Milliseconds since 1970. @throws when no answer has shown it yet */
export function exact({ earliest, latest }: Moment): number {
  if (earliest !== latest) throw new Error("no answer has shown this time yet");
  return earliest;
}

/** Whether both are one time, as far as answers have shown. */
export const isSame = (a: Moment | null, b: Moment | null): boolean =>
  a === b ||
  (a !== null && b !== null && a.earliest === a.latest && a.latest === b.earliest && b.latest === a.latest);
