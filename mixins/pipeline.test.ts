import { Client } from "pg";
import { ConnectionError } from "sequelize";
import { registry } from "../lib/metrics.ts";
import { observeDatabase } from "../lib/observe-sql.ts";
import { createDatabase, query } from "../tests/support/database.ts";
import { openLine } from "../tests/support/line.ts";
import { openDatabase } from "./database.ts";
import { pipelines, runOn } from "./statements.ts";

let own: Awaited<ReturnType<typeof createDatabase>>;
let database: ReturnType<typeof openDatabase>;
beforeAll(async () => {
  own = await createDatabase();
});
afterAll(() => own.drop());
beforeEach(() => {
  database = openDatabase(own.url, { max: 4 });
});
afterEach(() => database.close());

const numbers = Array.from({ length: 50 }, (_, n) => n);
/** Gives the number back, with the process of PostgreSQL that did it; fails for a text that is none. */
const echo = (value: unknown) =>
  runOn(database)<{ value: number; pid: number }>(
    "SELECT $1::text::int AS value, pg_backend_pid() AS pid",
    [value],
    { prepared: "pipelined" },
  );
const echoed = async (value: unknown) => (await echo(value))[0]?.value;

describe("statements of a pipeline", () => {
  it("get each its own answer, by two connections for any number of them", async () => {
    const answers = await Promise.all(numbers.map(echo));

    expect(answers.map(([row]) => row?.value)).toEqual(numbers);
    expect(new Set(answers.map(([row]) => row?.pid)).size).toBe(2);
  });

  it("leave the rest of the pool to others", async () => {
    await Promise.all(numbers.map(echo));
    const both = Promise.all([1, 2].map(() => runOn(database)("SELECT pg_sleep(0.01)", [])));
    expect(await both).toHaveLength(2);
  });

  it("fail each by itself", async () => {
    const outcomes = numbers.map((n) => echoed(n % 5 === 0 ? "none" : n).catch(({ code }) => code));

    expect(await Promise.all(outcomes)).toEqual(numbers.map((n) => (n % 5 === 0 ? "22P02" : n)));
  });

  it("fail as an outage when their connections are cut, and the next ones have others", async () => {
    await Promise.all(numbers.map(echo));
    const blocked = numbers.map((n) =>
      runOn(database)("SELECT pg_sleep(60), $1::int AS n", [n], { prepared: "pipelined" }),
    );
    const outcomes = Promise.allSettled(blocked);
    const sleeping = "state = 'active' AND query LIKE '%pg_sleep(60)%' AND pid <> pg_backend_pid()";
    let cut = 0;
    while (cut < 2) {
      const rows = await query(
        own.url,
        `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE ${sleeping}`,
      );
      cut += rows.length;
    }

    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: "rejected", reason: expect.any(Error) });
    }
    expect(await Promise.all(numbers.map(echoed))).toEqual(numbers);
  });

  it("use no connection that was cut while nobody asked", async () => {
    const pids = new Set((await Promise.all(numbers.map(echo))).map(([row]) => row?.pid));
    for (const pid of pids) {
      await query(own.url, "SELECT pg_terminate_backend($1, 5000)", [pid]);
    }
    while (
      (await Promise.all(numbers.map((n) => echo(n).catch(() => [])))).some((rows) => rows.length === 0)
    );

    expect(await Promise.all(numbers.map(echoed))).toEqual(numbers);
  });

  it("that hang are cancelled, and those behind them answered", async () => {
    const hung = runOn(database)("SELECT pg_sleep(60)", [], { prepared: "pipelined" });
    const behind = Promise.all(numbers.map(echoed));

    await expect(hung).rejects.toMatchObject({ code: "57014" });
    expect(await behind).toEqual(numbers);
  });

  it("behind one that takes long are counted as waiting, and no more when they are answered", async () => {
    observeDatabase("piped", database, () => pipelines.get(database)?.waiting() ?? 0);
    const waiting = async () => {
      const text = await registry.getSingleMetricAsString("taskmesh_database_pool_waiting");
      return Number(/pool="piped"\} (\d+)/.exec(text)?.[1]);
    };
    await Promise.all(numbers.map(echoed));
    const hung = runOn(database)("SELECT pg_sleep(60)", [], { prepared: "pipelined" });
    const behind = Promise.all(numbers.map(echoed));

    expect(await waiting()).toBe(0);
    // Half of them: the other connection answers its own.
    while ((await waiting()) !== 25) await new Promise((resolve) => setImmediate(resolve));
    await expect(hung).rejects.toMatchObject({ code: "57014" });
    await behind;
    expect(await waiting()).toBe(0);
  });

  it("fail as an outage, and are prepared anew, when a column has another type than in their plan", async () => {
    await query(own.url, "CREATE TABLE kinds AS SELECT 1::smallint AS n");
    const read = () => runOn(database)("SELECT n FROM kinds", [], { prepared: "pipelined" });
    await Promise.all([read(), read()]);
    await query(own.url, "ALTER TABLE kinds ALTER n TYPE integer");

    for (const asked of [read(), read()]) await expect(asked).rejects.toThrow(ConnectionError);
    expect(await Promise.all([read(), read()])).toEqual([[{ n: 1 }], [{ n: 1 }]]);
  });

  it("fail as an outage behind the one that should have prepared them", async () => {
    await query(own.url, "CREATE TABLE locked AS SELECT 1 AS n");
    const owner = new Client({ connectionString: own.url });
    await owner.connect();
    await owner.query("BEGIN; LOCK TABLE locked");
    const read = () => runOn(database)("SELECT n FROM locked", [], { prepared: "pipelined" });
    const asked = [read(), read(), read(), read()].map((each) =>
      each.catch((error: Error) => error.constructor.name),
    );
    const waiting = "wait_event_type = 'Lock' AND query LIKE '%FROM locked%' AND pid <> pg_backend_pid()";
    for (let cancelled = 0; cancelled < 2; ) {
      const rows = await query(
        own.url,
        `SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE ${waiting}`,
      );
      cancelled += rows.length;
    }
    await owner.query("ROLLBACK");
    await owner.end();

    expect(await Promise.all(asked)).toEqual([
      "DatabaseError",
      "DatabaseError",
      "ConnectionError",
      "ConnectionError",
    ]);
    expect(await read()).toEqual([{ n: 1 }]);
  });

  it("that fail late, with a connection that went silent, take no other connection along", async () => {
    const line = await openLine(own.url);
    const silent = openDatabase(line.url, { max: 4 });
    const ask = () => runOn(silent)("SELECT 1 AS one", [], { prepared: "pipelined" });
    // The second time it may meet the other connection, which is as silent and has not been told yet.
    const askThrice = () => ask().catch(() => ask().catch(ask));
    await Promise.all([ask(), ask()]);
    line.silence();
    const first = [askThrice(), askThrice()];
    // Their time is over later than that of the first.
    await new Promise((resolve) => setTimeout(resolve, 100));
    const later = [askThrice(), askThrice()];

    expect(await Promise.all([...first, ...later])).toEqual(Array(4).fill([{ one: 1 }]));
    // Those that are kept are given back: what was lost would be waited for.
    await silent.close();
    line.close();
  });

  it("are answered before the database is closed", async () => {
    const asked = Promise.all(numbers.map(echoed));
    await new Promise((resolve) => setImmediate(resolve));
    await database.close();

    expect(await asked).toEqual(numbers);
  });
});
