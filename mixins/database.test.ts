import { once } from "node:events";
import { createServer } from "node:net";
import { UniqueConstraintError } from "sequelize";
import { databaseQueries } from "../lib/metrics.ts";
import { createDatabase } from "../tests/support/database.ts";
import { driver, openDatabase } from "./database.ts";
import { runOn } from "./statements.ts";

/** A message of PostgreSQL's protocol: its type, its length, its content. */
function message(type: string, content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length + 4);
  return Buffer.concat([Buffer.from(type), length, content]);
}

const AUTHENTICATED = message("R", Buffer.from([0, 0, 0, 0]));
const READY = message("Z", Buffer.from("I"));
const FAREWELL = message("E", Buffer.from("SFATAL\0C57P01\0Mterminating connection\0\0"));

describe("a database", () => {
  it("takes one of the server's processes for a statement, however much it reads", async () => {
    const own = await createDatabase();
    const database = openDatabase(own.url);
    const [setting] = await runOn(database)("SHOW max_parallel_workers_per_gather", []);
    expect(setting).toEqual({ max_parallel_workers_per_gather: "0" });
    await database.close();
    await own.drop();
  });

  it("opens the connections that it uses, and no other before them to ask what server it is", async () => {
    const own = await createDatabase();
    const database = openDatabase(own.url);
    const connect = jest.spyOn(driver.Client.prototype, "connect");
    await database.query("SELECT 1");
    await runOn(database)("SELECT 1", []);
    expect(connect).toHaveBeenCalledTimes(1);
    connect.mockRestore();
    await database.close();
    await own.drop();
  });

  it("frees what a transaction holds whose process stands still, in time for who waits for it", async () => {
    const own = await createDatabase();
    const [stuck, next] = [openDatabase(own.url), openDatabase(own.url)];
    await runOn(next)("CREATE TABLE things (id integer PRIMARY KEY)", []);
    const transaction = await stuck.transaction();
    await runOn(stuck, transaction)("INSERT INTO things VALUES (1) RETURNING id", []);
    // It says nothing more. Whoever waits has three seconds.
    expect(await runOn(next)("INSERT INTO things VALUES (1) RETURNING id", [])).toEqual([{ id: 1 }]);
    await expect(transaction.commit()).rejects.toThrow();
    await stuck.close();
    await next.close();
    await own.drop();
  });

  it("counts a row that was there already as a conflict, and as failed what really is", async () => {
    const own = await createDatabase();
    const database = openDatabase(own.url);
    const run = runOn(database);
    const counts = async () => {
      const { values } = await databaseQueries.get();
      const of = (outcome: string): number =>
        values
          .filter(
            ({ metricName, labels }) => /_count$/.test(String(metricName)) && labels.outcome === outcome,
          )
          .reduce((sum, { value }) => sum + value, 0);
      return { conflict: of("conflict"), failed: of("failed") };
    };
    await run("CREATE TABLE things (id integer PRIMARY KEY)", []);
    await run("INSERT INTO things VALUES (1)", []);
    const before = await counts();
    await expect(run("INSERT INTO things VALUES (1)", [])).rejects.toMatchObject({ code: "23505" });
    await expect(database.query("INSERT INTO things VALUES (1)")).rejects.toThrow(UniqueConstraintError);
    await expect(run("INSERT INTO nothing VALUES (1)", [])).rejects.toThrow();
    const after = await counts();
    expect([after.conflict - before.conflict, after.failed - before.failed]).toEqual([2, 1]);
    await database.close();
    await own.drop();
  });

  it("that says goodbye in the same breath as hello refuses the query, and the process lives on", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(Buffer.concat([AUTHENTICATED, READY, FAREWELL])));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const database = openDatabase(`postgres://postgres@127.0.0.1:${port}/postgres`);
    const uncaught: Error[] = [];
    const note = (error: Error) => uncaught.push(error);
    process.on("uncaughtException", note);

    await expect(database.query("SELECT 1")).rejects.toThrow();
    await new Promise((resolve) => setImmediate(resolve));

    process.off("uncaughtException", note);
    expect(uncaught).toEqual([]);
    await database.close();
    await new Promise((resolve) => server.close(resolve));
  });
});
