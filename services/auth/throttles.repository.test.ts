import { v7 as uuidv7 } from "uuid";
import { NOW, storeUser } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { type Charge, createThrottleRepository } from "./throttles.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

const at = (ms: number) => new Date(NOW + ms);
const throttles = () => createThrottleRepository(db.database);
/** Costs 10 ms of 30. */
const chargeOf = (key: string): Charge => ({ key, costMs: 10, capacityMs: 30 });
const newKey = () => `key ${uuidv7()}`;

describe("a charge", () => {
  it("is taken as long as there is budget, which refills with time", async () => {
    const charge = chargeOf(newKey());
    const attempts = [];
    for (const ms of [0, 0, 0, 0, 9, 10, 10]) attempts.push(await throttles().charge([charge], at(ms)));
    const [taken, refused] = [[charge.key], []];
    expect(attempts).toEqual([taken, taken, taken, refused, refused, taken, refused]);
    expect(await throttles().findFullAt([charge])).toEqual(new Map([[charge.key, at(40)]]));
  });

  it("of what has refilled long ago begins anew", async () => {
    const charge = chargeOf(newKey());
    await throttles().charge([charge], at(0));
    await throttles().charge([charge], at(1_000));
    expect(await throttles().findFullAt([charge])).toEqual(new Map([[charge.key, at(1_010)]]));
  });

  it("of several keys tells which of them were taken", async () => {
    const [spent, fresh] = [chargeOf(newKey()), chargeOf(newKey())];
    for (let n = 0; n < 3; n++) await throttles().charge([spent], at(0));
    expect(await throttles().charge([spent, fresh], at(0))).toEqual([fresh.key]);
  });

  it("is given back, of its keys only", async () => {
    const [charge, other] = [chargeOf(newKey()), chargeOf(newKey())];
    await throttles().charge([charge, other], at(0));
    await throttles().giveBack([charge, chargeOf("unknown")]);
    expect(await throttles().findFullAt([charge, other])).toEqual(
      new Map([
        [charge.key, at(0)],
        [other.key, at(10)],
      ]),
    );
  });

  it("of a key that was never charged is full since ever", async () => {
    expect(await throttles().findFullAt([chargeOf(newKey())])).toEqual(new Map());
  });
});

describe("a network that somebody has signed in from", () => {
  it("is familiar to them, until long after", async () => {
    const [user, other] = [await storeUser(db.database), await storeUser(db.database)];
    await throttles().makeFamiliar(user.id, "home", at(0));
    const familiar = (email: string, network: string, since: Date) =>
      throttles().isFamiliar(email, network, since);
    expect(await familiar(user.email, "home", at(-1))).toBe(true);
    expect(await familiar(user.email, "home", at(0))).toBe(false);
    expect(await familiar(user.email, "work", at(-1))).toBe(false);
    expect(await familiar(other.email, "home", at(-1))).toBe(false);
    expect(await familiar("nobody@example.test", "home", at(-1))).toBe(false);
    await throttles().makeFamiliar(user.id, "home", at(5));
    expect(await familiar(user.email, "home", at(4))).toBe(true);
  });
});

it("a network is familiar to nobody whose account was deleted while they signed in", async () => {
  const id = uuidv7();
  await throttles().makeFamiliar(id, "home", at(0));
  const [found] = await db.database.query("SELECT FROM auth.familiar_networks WHERE user_id = $1", {
    bind: [id],
  });
  expect(found).toEqual([]);
});

describe("a sweep", () => {
  it("removes what is whole again and what is no longer familiar, and nothing else", async () => {
    const { id, email } = await storeUser(db.database);
    const [whole, spent] = [chargeOf(newKey()), chargeOf(newKey())];
    await throttles().charge([whole], at(0));
    await throttles().charge([spent], at(1));
    await throttles().makeFamiliar(id, "once", at(-100));
    await throttles().makeFamiliar(id, "lately", at(-99));
    expect(await throttles().sweep(at(10), at(-100))).toBeGreaterThanOrEqual(2);
    expect(await throttles().sweep(at(10), at(-100))).toBe(0);
    expect([...(await throttles().findFullAt([whole, spent])).keys()]).toEqual([spent.key]);
    const ever = new Date(0);
    expect(await throttles().isFamiliar(email, "once", ever)).toBe(false);
    expect(await throttles().isFamiliar(email, "lately", ever)).toBe(true);
  });
});
