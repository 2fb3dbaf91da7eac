import { ServiceBroker } from "moleculer";
import { DatabaseError } from "sequelize";
import { notFound } from "./errors.ts";
import { safeErrors } from "./safe-errors.ts";

/** What a caller gets when an action fails with this. */
async function failWith(error: Error): Promise<unknown> {
  const broker = new ServiceBroker({ logger: false, created: (each) => each.middlewares.add(safeErrors) });
  broker.createService({ name: "probe", actions: { fail: () => Promise.reject(error) } });
  await broker.start();
  try {
    return await broker
      .call("probe.fail")
      .catch(({ code, type }: { code: number; type: string }) => [code, type]);
  } finally {
    await broker.stop();
  }
}

const fromDatabase = (message: string, code?: string): Error =>
  new DatabaseError(Object.assign(new Error(message), { sql: "COMMIT", ...(code ? { code } : {}) }));

it.each([
  ["a connection that ends under a COMMIT", fromDatabase("Connection terminated unexpectedly")],
  ["a server that went silent", fromDatabase("Query read timeout")],
  ["a server that stops", fromDatabase("terminating connection due to administrator command", "57P01")],
  ["a full disk", fromDatabase("could not extend file", "53100")],
  ["a disk that fails", fromDatabase("could not read block", "58030")],
  ["a server that is read-only for now", fromDatabase("cannot execute INSERT", "25006")],
  ["a transaction that stood still for too long", fromDatabase("terminating connection", "25P03")],
  ["a deadlock", fromDatabase("deadlock detected", "40P01")],
  ["a transaction that could not be serialised", fromDatabase("could not serialize access", "40001")],
  ["a lock that was not to be had", fromDatabase("could not obtain lock", "55P03")],
])("%s is an outage, not a fault of ours", async (_, error) => {
  expect(await failWith(error)).toEqual([503, "unavailable"]);
});

it("a statement that is wrong is a fault of ours", async () => {
  expect(await failWith(fromDatabase("column x does not exist", "42703"))).toEqual([500, "internal"]);
});

it("what a caller may know is told as it is", async () => {
  expect(await failWith(notFound("task"))).toEqual([404, "not_found"]);
});
