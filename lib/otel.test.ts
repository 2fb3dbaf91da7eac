import { openTracer } from "./otel.ts";

const names = { service: "test", namespace: "test", version: "0", instance: "0" };
const span = { kind: "server", name: "GET /tasks" } as const;
/** Nobody: nothing is sent here. */
const endpoint = "http://127.0.0.1:9";
const onError = (): void => {};

describe("traces", () => {
  it.each([
    [0, 0],
    [0.25, 250],
    [1, 1_000],
  ])("that begin here are recorded as a share of %d", async (share, expected) => {
    const tracer = openTracer({ endpoint, ...names, share, onError });
    const sampled = Array.from({ length: 1_000 }, () => tracer.start(span, undefined).context.sampled);
    await tracer.close();
    const count = sampled.filter(Boolean).length;
    // Six standard deviations of the random ids.
    expect(Math.abs(count - expected)).toBeLessThanOrEqual(6 * Math.sqrt(1_000 * share * (1 - share)));
  });
});
