/**
 * Loaded into each process before all else. Each SIGUSR2 moves its clock: an hour ahead, an hour back, and right again.
 * It ends with the drill, however that ends.
 */
const HOUR = 3_600_000;
const offsets = [HOUR, -HOUR, 0];
let offset = 0;

globalThis.Date = new Proxy(Date, {
  construct: (target, args, newTarget) =>
    Reflect.construct(target, args.length === 0 ? [target.now() + offset] : args, newTarget),
  get: (target, name) => (name === "now" ? () => target.now() + offset : Reflect.get(target, name)),
});

process.on("SIGUSR2", () => {
  offset = offsets.shift() ?? 0;
  offsets.push(offset);
});

const { ppid } = process;
setInterval(() => process.ppid !== ppid && process.exit(), 500).unref();
