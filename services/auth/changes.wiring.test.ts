import { createDatabase, query } from "../../tests/support/database.ts";
import { wireChanges } from "./changes.wiring.ts";

it("logs that changes are not told when that begins, and when it is over, however often it is tried", async () => {
  const own = await createDatabase();
  const elsewhere = new URL(own.url);
  elsewhere.pathname += "_later";
  const name = elsewhere.pathname.slice(1);
  const lines: unknown[][] = [];
  const log = { info: write("info"), warn: write("warn"), error: write("error") };
  const states: boolean[] = [];
  let heard = (): void => {};
  const changes = wireChanges(
    { AUTH_DATABASE_URL: elsewhere.href },
    {
      identities: {
        forget: () => {},
        trust(listening) {
          states.push(listening);
          heard();
        },
      },
      keyring: { open: async () => {} },
      log: () => log,
      tellGateways: () => {},
    },
  );
  function write(level: string) {
    return (...args: unknown[]) => void lines.push([level, args.at(-1)]);
  }
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      heard = () => holds() && resolve();
      heard();
    });

  await changes.start();
  await until(() => states.length >= 3);
  const begun = ["warn", "changes are not told at present: sessions are read at each request"];
  expect(lines).toEqual([begun]);
  await query(own.url, `CREATE DATABASE ${name}`);
  await until(() => states.includes(true));
  expect(lines).toEqual([begun, ["info", "changes are told again"]]);
  await changes.stop();
  await query(own.url, `DROP DATABASE ${name} WITH (FORCE)`);
  await own.drop();
});
