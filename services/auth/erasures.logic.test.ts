import { v7 as uuidv7 } from "uuid";
import { createEraser } from "./erasures.logic.ts";
import type { Erasure } from "./erasures.repository.ts";

const NOW = Date.UTC(2026, 10, 22, 10);
const [ADA, BEN] = [uuidv7(), uuidv7()];

/** An eraser whose services answer as the test says: with the number of times that each fails first. */
function build({
  pending = [] as Erasure[],
  failures = {} as Record<string, number>,
  type = "",
  broken = false,
} = {}) {
  const time = { now: NOW };
  const asked: string[] = [];
  const settled: unknown[] = [];
  const errors: unknown[] = [];
  const sweeps: number[] = [];
  const eraser = createEraser({
    erasures: {
      async pending(requestedBefore) {
        sweeps.push(NOW - requestedBefore.getTime());
        return pending;
      },
      async erasedOnce(userId) {
        if (broken) throw new Error("The database is down");
        settled.push(["erased once", userId]);
      },
      done: async (userId) => void settled.push(["done", userId]),
      removeUser: async () => "removed",
    },
    services: ["tasks", "agenda"],
    async eraseIn(service, userId) {
      asked.push(`${service} ${userId}`);
      const left = failures[service] ?? 0;
      failures[service] = left - 1;
      if (left > 0) throw Object.assign(new Error(`${service} is down`), { type });
    },
    onError: (error, service) => errors.push([String(error), service]),
    clock: () => time.now,
  });
  return { eraser, time, asked, settled, errors, sweeps };
}

describe("erasing what is left of an account", () => {
  it("asks every service, and is not over yet: a passport may still be good", async () => {
    const { eraser, time, asked, settled } = build();
    time.now += 64_999;
    await eraser.erase({ userId: ADA, requestedAt: new Date(NOW) });
    expect(asked).toEqual([`tasks ${ADA}`, `agenda ${ADA}`]);
    expect(settled).toEqual([["erased once", ADA]]);
  });

  it("is over when that was asked for so long ago that none is", async () => {
    const { eraser, time, settled } = build();
    time.now += 125_000;
    await eraser.erase({ userId: ADA, requestedAt: new Date(NOW) });
    expect(settled).toEqual([["done", ADA]]);
  });

  it("stays to be done when one service fails, which is told; the others are asked all the same", async () => {
    const { eraser, asked, settled, errors } = build({ failures: { tasks: 1 } });
    await eraser.erase({ userId: ADA, requestedAt: new Date(0) });
    expect(asked).toHaveLength(2);
    expect(settled).toEqual([]);
    expect(errors).toEqual([["Error: tasks is down", "tasks"]]);
    await eraser.erase({ userId: ADA, requestedAt: new Date(0) });
    expect(settled).toEqual([["done", ADA]]);
  });

  it("tells of a database that does not take down what was erased, and fails nobody for it", async () => {
    const { eraser, errors } = build({ broken: true });
    await eraser.erase({ userId: ADA, requestedAt: new Date(NOW) });
    expect(errors).toEqual([["Error: The database is down", "auth"]]);
  });
});

describe("a sweep", () => {
  const pending = [
    { userId: ADA, requestedAt: new Date(NOW) },
    { userId: BEN, requestedAt: new Date(NOW - 125_000) },
  ];

  it("erases all that is due, whatever fails", async () => {
    const { eraser, settled, sweeps } = build({ pending, failures: { agenda: 1 } });
    await expect(eraser.sweep()).rejects.toThrow("not erased everywhere: 1.");
    expect(settled).toEqual([["done", BEN]]);
    expect(sweeps).toEqual([125_000]);
  });

  const many = Array.from({ length: 100 }, () => ({ userId: uuidv7(), requestedAt: new Date(NOW) }));

  it.each(["SERVICE_NOT_FOUND", "SERVICE_NOT_AVAILABLE", "REQUEST_TIMEOUT", "REQUEST_REJECTED"])(
    "asks a service that gives no answer (%s) once, the others all the same, and tells of it once",
    async (type) => {
      const { eraser, asked, errors } = build({ pending: many, failures: { tasks: 1_000 }, type });
      await expect(eraser.sweep()).rejects.toThrow("not erased everywhere: 100.");
      expect(asked.filter((each) => each.startsWith("tasks"))).toHaveLength(1);
      expect(asked.filter((each) => each.startsWith("agenda"))).toHaveLength(100);
      expect(errors).toEqual([["Error: tasks is down", "tasks"]]);
      await expect(eraser.sweep()).rejects.toThrow();
      expect(errors).toHaveLength(2);
    },
  );

  it("tells once of a service that answers and can't, and asks it for all", async () => {
    const { eraser, asked, errors } = build({ pending: many, failures: { tasks: 99 }, type: "internal" });
    await expect(eraser.sweep()).rejects.toThrow("not erased everywhere: 99.");
    expect(asked).toHaveLength(200);
    expect(errors).toHaveLength(1);
  });
});
