/** Loaded into a process before all else: each SIGUSR2 moves its clock, an hour ahead, an hour back, and right again. */
const HOUR = 3_600_000;
const offsets = [HOUR, -HOUR, 0];
let offset = 0;
const RealDate = Date;

class ShiftedDate extends RealDate {
  constructor(...args: [] | [number | string | Date]) {
    if (args.length === 0) super(RealDate.now() + offset);
    else super(...(args as [number]));
  }
  static override now(): number {
    return RealDate.now() + offset;
  }
}
globalThis.Date = ShiftedDate as DateConstructor;
process.on("SIGUSR2", () => {
  offset = offsets.shift() ?? 0;
  offsets.push(offset);
});
