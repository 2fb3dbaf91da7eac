import { Errors } from "moleculer";
import { problem } from "../../lib/errors.ts";
import { type Call, createCalls } from "./calls.ts";

const ACTION = "tasks.create";
const data = (nodeID: string) => ({ action: ACTION, nodeID });
const timedOut = (nodeID: string) => new Errors.RequestTimeoutError(data(nodeID));
const rejected = (nodeID: string) => new Errors.RequestRejectedError(data(nodeID));
const notThere = (nodeID: string) => new Errors.ServiceNotAvailableError(data(nodeID));

interface Try {
  nodeID?: string;
  meta: object;
  timeout: number;
}

/** Nodes `one` and `two`, and what becomes of each try: a value, or an error after so many milliseconds. */
function makeBus(
  outcomes: (string | { error: Error; after?: number })[],
  nodes = ["one", "two"],
  whileWaiting: (passed: number) => unknown = () => {},
) {
  const tries: Try[] = [];
  const left = [...outcomes];
  let time = 1_000_000;
  const { call, notCounting } = createCalls({
    async call<T>(_action: string, _params: object, options: object): Promise<T> {
      tries.push({ ...{ meta: {}, timeout: 0 }, ...options });
      const outcome = left.length > 1 ? left.shift() : left[0];
      if (typeof outcome !== "object") return JSON.parse(JSON.stringify(outcome));
      time += outcome.after ?? 1;
      throw outcome.error;
    },
    nodesOf: () => nodes,
    now: () => time,
    wait: async (ms) => {
      time += ms;
      whileWaiting(time - 1_000_000);
    },
  });
  return {
    tries,
    run: (over: Partial<Call> = {}) =>
      call<string>({ action: ACTION, params: {}, meta: { operationId: "o" }, again: "always", ...over }),
    passed: () => time - 1_000_000,
    /** As somebody's body comes. */
    read: (ms: number) =>
      notCounting(async () => {
        time += ms;
      }),
  };
}

describe("a call of a request", () => {
  it.each([
    ["did not answer", timedOut],
    ["went away with it", rejected],
    ["was not there", notThere],
  ])("goes to another node when the first %s, as the same operation", async (_, failure) => {
    const bus = makeBus([{ error: failure("one") }, "done"]);
    expect(await bus.run()).toBe("done");
    expect(bus.tries.map(({ nodeID, meta }) => [nodeID, meta])).toEqual([
      [undefined, { operationId: "o" }],
      ["two", { operationId: "o" }],
    ]);
  });

  it("has a short first try and the rest of the deadline for the second", async () => {
    const bus = makeBus([{ error: timedOut("one"), after: 1_500 }, "done"]);
    await bus.run();
    expect(bus.tries.map(({ timeout }) => timeout)).toEqual([1_500, 3_000]);
  });

  it.each([
    ["did not answer", timedOut],
    ["went away with it", rejected],
  ])("that must not be done twice has one long try, when the node %s", async (_, failure) => {
    const error = failure("one");
    const bus = makeBus([{ error }, "done"]);
    await expect(bus.run({ again: "never" })).rejects.toBe(error);
    expect(bus.tries.map(({ timeout }) => timeout)).toEqual([4_500]);
  });

  it("that must not be done late is done again when its node is gone, and waited for when it says nothing", async () => {
    const gone = makeBus([{ error: rejected("one") }, "done"]);
    expect(await gone.run({ again: "if gone" })).toBe("done");
    expect(gone.tries).toMatchObject([{ timeout: 4_500 }, { nodeID: "two" }]);
    const silent = makeBus([{ error: timedOut("one"), after: 4_500 }, "done"]);
    await expect(silent.run({ again: "if gone" })).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
  });

  it("has all its time however long the client took to send its body", async () => {
    const bus = makeBus([{ error: timedOut("one"), after: 1_500 }, "done"]);
    await bus.read(20_000);
    expect(await bus.run()).toBe("done");
    expect(bus.tries.map(({ timeout }) => timeout)).toEqual([1_500, 3_000]);
  });

  it("that must not be done twice is tried again when nobody took it", async () => {
    const bus = makeBus([{ error: notThere("one") }, "done"]);
    expect(await bus.run({ again: "never" })).toBe("done");
  });

  it.each([
    ["was refused", problem("not_found", "There is no such task.")],
    ["met too much to do", problem("overloaded", "Later.")],
    ["failed at what it called itself", new Errors.ServiceNotFoundError({ action: "mail.send" })],
    ["failed in a way nobody thought of", new Error("?")],
  ])("that %s is answered so", async (_, error) => {
    const bus = makeBus([{ error }, "done"]);
    await expect(bus.run()).rejects.toBe(error);
    expect(bus.tries).toHaveLength(1);
  });

  it.each(["unavailable", "invalid_passport"] as const)(
    "is tried once more, elsewhere, when a node says %s: that may be its own trouble",
    async (code) => {
      const error = Object.assign(problem(code, "?"), { nodeID: "one" });
      const bus = makeBus([{ error }, "done"]);
      expect(await bus.run()).toBe("done");
      expect(bus.tries[1]).toMatchObject({ nodeID: "two" });
      const everywhere = makeBus([{ error }]);
      await expect(everywhere.run()).rejects.toBe(error);
      expect(everywhere.tries).toHaveLength(2);
      await expect(makeBus([{ error }, "done"]).run({ again: "never" })).rejects.toBe(error);
    },
  );

  it("waits for its own first try, when that is still at it", async () => {
    const inFlight = { error: problem("idempotency_in_flight", "Still running.") };
    const bus = makeBus([{ error: timedOut("one"), after: 1_500 }, inFlight, inFlight, "done"]);
    expect(await bus.run({ meta: { idempotencyKey: "k" } })).toBe("done");
    const other = makeBus([inFlight, "done"]);
    await expect(other.run({ meta: { idempotencyKey: "k" } })).rejects.toBe(inFlight.error);
  });

  it("waits for it at the node that answers", async () => {
    const error = Object.assign(problem("idempotency_in_flight", "Still running."), { nodeID: "two" });
    const bus = makeBus([{ error: timedOut("one"), after: 1_500 }, { error }, { error }, "done"]);
    expect(await bus.run()).toBe("done");
    expect(bus.tries.map(({ nodeID }) => nodeID)).toEqual([undefined, "two", "two", "two"]);
    const long = makeBus([{ error: timedOut("one"), after: 1_500 }, { error }]);
    await expect(long.run({ meta: { idempotencyKey: "k" } })).rejects.toBe(error);
    expect(long.tries.length).toBeLessThan(40);
    const keyless = makeBus([{ error: timedOut("one"), after: 1_500 }, { error }]);
    await expect(keyless.run()).rejects.toMatchObject({ type: "unavailable" });
  });

  it("waits between tries when it is the gateway that is not connected", async () => {
    const error = new Errors.MoleculerRetryableError("?", 502, "BAD_GATEWAY");
    const bus = makeBus([
      { error: timedOut("one"), after: 1_500 },
      { error, after: 0 },
    ]);
    await expect(bus.run()).rejects.toBe(error);
    expect(bus.tries.length).toBeLessThan(10);
  });

  it("waits between tries when the only node there is has not taken it", async () => {
    const bus = makeBus([{ error: notThere("one") }], ["one"]);
    await expect(bus.run()).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
    expect(bus.tries.length).toBeLessThanOrEqual(21);
  });

  it("is made once when there is no node, and as soon as there is one", async () => {
    const error = new Errors.ServiceNotFoundError({ action: ACTION });
    const nobody = makeBus([{ error }], []);
    await expect(nobody.run()).rejects.toBe(error);
    expect(nobody.tries).toHaveLength(1);
    const nodes: string[] = [];
    const late = makeBus(["done"], nodes, (passed) => passed >= 300 && nodes.push("one"));
    expect(await late.run()).toBe("done");
    expect(late.passed()).toBe(300);
    const lost: string[] = ["one"];
    const gone = makeBus([{ error: notThere("one") }], lost, () => lost.pop());
    await expect(gone.run()).rejects.toMatchObject({ type: "SERVICE_NOT_AVAILABLE" });
    expect(gone.tries).toHaveLength(2);
  });

  it("gives up within the deadline, and sooner when there is no node at all", async () => {
    const error = new Errors.ServiceNotFoundError({ action: ACTION });
    const nobody = makeBus([{ error }], []);
    await expect(nobody.run()).rejects.toBe(error);
    expect(nobody.passed()).toBeLessThan(2_500);
    const silent = makeBus([{ error: timedOut("one"), after: 1_500 }]);
    await expect(silent.run()).rejects.toMatchObject({ type: "REQUEST_TIMEOUT" });
    expect(silent.passed()).toBeLessThanOrEqual(4_500);
  });
});
