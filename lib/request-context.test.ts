import { assertAwaited, inRequest, newTrace, readTrace, writeTrace } from "./request-context.ts";

const TRACE = "4bf92f3577b34da6a3ce929d0e0e4736";
const SPAN = "00f067aa0ba902b7";

describe("what must not be done late", () => {
  const within = (ms: number) => () =>
    inRequest({ requestId: "r", startedAt: 0, awaitedUntil: performance.now() + ms }, assertAwaited);

  it("is refused when nobody waits for its request any more", () => {
    expect(within(0)).toThrow(expect.objectContaining({ type: "unavailable" }));
    expect(within(1_000)).not.toThrow();
  });

  it("has all the time where nobody asked, or said for how long", () => {
    expect(assertAwaited).not.toThrow();
    expect(() => inRequest({ requestId: "r", startedAt: 0 }, assertAwaited)).not.toThrow();
  });
});

describe("a trace's context", () => {
  it("is read as W3C Trace Context has it, and written as it was read", () => {
    const traceparent = `00-${TRACE}-${SPAN}-01`;
    const read = readTrace(traceparent, "vendor=a:1,other=b");
    expect(read).toEqual({ traceId: TRACE, spanId: SPAN, sampled: true, state: "vendor=a:1,other=b" });
    expect(read && writeTrace(read)).toEqual({ traceparent, tracestate: "vendor=a:1,other=b" });
  });

  it.each([
    ["00", true],
    ["03", false],
    ["fe", true],
  ])("has of the flags %s the one that there is, sampled", (flags, unsampled) => {
    expect(readTrace(`00-${TRACE}-${SPAN}-${flags}`)).toMatchObject({ sampled: !unsampled });
  });

  it("may be of a later version, which may say more", () => {
    expect(readTrace(`cc-${TRACE}-${SPAN}-01-what-the-future-holds`)).toMatchObject({ traceId: TRACE });
    expect(readTrace(`cc-${TRACE}-${SPAN}-01.what`)).toBeUndefined();
  });

  it.each([
    undefined,
    7,
    "",
    `ff-${TRACE}-${SPAN}-01`,
    `00-${"0".repeat(32)}-${SPAN}-01`,
    `00-${TRACE}-${"0".repeat(16)}-01`,
    `00-${TRACE.toUpperCase()}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01-more`,
    `00-${TRACE}-${SPAN}`,
    ` 00-${TRACE}-${SPAN}-01`,
    `00-${TRACE}-${SPAN}-01\n`,
    `cc-${TRACE}-${SPAN}-01-${"x".repeat(600)}`,
  ])("is none when it is %j", (traceparent) => {
    expect(readTrace(traceparent)).toBeUndefined();
  });

  it.each(["", "line\nbreak", "x".repeat(513), 7])("goes on without a tracestate like %j", (tracestate) => {
    expect(readTrace(`00-${TRACE}-${SPAN}-01`, tracestate)).toEqual({
      traceId: TRACE,
      spanId: SPAN,
      sampled: true,
    });
  });

  it("is made anew, valid and never the same", () => {
    const [one, other] = [newTrace(), newTrace()];
    expect(readTrace(writeTrace(one).traceparent)).toEqual(one);
    expect(one.traceId).not.toBe(other.traceId);
  });
});
