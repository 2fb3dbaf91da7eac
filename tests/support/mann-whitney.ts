/**
 * How well the times of one kind are told from those of another: the probability that one of `a` is longer than one
 * of `b` (the area under the ROC curve, Mann and Whitney's U over n·m). 0.5 is not at all.
 */
export function areaUnderCurve(a: number[], b: number[]): number {
  let wins = 0;
  for (const x of a) for (const y of b) wins += x > y ? 1 : x === y ? 0.5 : 0;
  return wins / (a.length * b.length);
}
