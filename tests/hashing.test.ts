import { Agent, request } from "node:http";
import bcrypt from "bcrypt";
import { buildEmail, buildPerson, httpFor, PASSWORD, signIn } from "./support/client.ts";
import { query } from "./support/database.ts";
import { areaUnderCurve } from "./support/mann-whitney.ts";
import { type RunningSystem, startOneProcess } from "./support/system.ts";

/** Enough for a hash to take some ten times as long as everything else about a sign-in, as the default cost does. */
const COST = 9;
const TRIES = 300;

let system: RunningSystem;
beforeAll(async () => {
  system = await startOneProcess({ BCRYPT_COST: String(COST) });
});
afterAll(() => system.stop());

const setHash = async (userId: string, cost: number): Promise<string> => {
  const hash = await bcrypt.hash(PASSWORD, cost);
  await query(system.databaseUrl, "UPDATE auth.users SET password_hash = $2 WHERE id = $1", [userId, hash]);
  return hash;
};

const readHash = async (userId: string): Promise<unknown> => {
  const [row] = await query(system.databaseUrl, "SELECT password_hash FROM auth.users WHERE id = $1", [
    userId,
  ]);
  return row?.password_hash;
};

/** Milliseconds that a sign-in takes, on the agent's one connection. */
const timeSignIn = (agent: Agent, body: object): Promise<number> =>
  new Promise((resolve, reject) => {
    const startedAt = performance.now();
    const headers = { "Content-Type": "application/json" };
    const sent = request(`${system.baseUrl}/auth/login`, { method: "POST", agent, headers }, (response) => {
      response.resume().on("end", () => {
        if (response.statusCode === 401) resolve(performance.now() - startedAt);
        else reject(new Error(`login: ${response.statusCode}`));
      });
    });
    sent.on("error", reject).end(JSON.stringify(body));
  });

// That an old hash costs as much: services/auth/passwords.logic.test.ts, in rounds.
test("line 8: the times of an unknown address, a wrong password and a disabled account are alike", async () => {
  const [known, disabled] = [await buildPerson(system), await buildPerson(system)];
  await query(system.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [
    disabled.user.id,
  ]);
  const kinds: [string, { email: string; password: string }][] = [
    ["unknown address", { email: buildEmail(), password: PASSWORD }],
    ["wrong password", { email: known.email, password: "not the password" }],
    ["disabled account", { email: disabled.email, password: PASSWORD }],
  ];
  const times = new Map(kinds.map(([name]) => [name, [] as number[]]));
  const agent = new Agent({ keepAlive: true, maxSockets: 1 });
  const warmUp = 12;
  for (let round = 0; round < warmUp + TRIES; round++) {
    // Each kind is as often the first, the second, … of its round.
    for (let turn = 0; turn < kinds.length; turn++) {
      const [name = "", body = {}] = kinds[(round + turn) % kinds.length] ?? [];
      const ms = await timeSignIn(agent, body);
      if (round >= warmUp) times.get(name)?.push(ms);
    }
  }
  agent.destroy();

  const unknown = times.get("unknown address") ?? [];
  expect(unknown).toHaveLength(TRIES);
  for (const [name] of kinds.slice(1)) {
    const area = areaUnderCurve(times.get(name) ?? [], unknown);
    expect({ name, area, alike: area > 0.4 && area < 0.6 }).toMatchObject({ alike: true });
  }
}, 120_000);

test("the measure tells times apart that differ", () => {
  expect(areaUnderCurve([3, 4], [1, 2])).toBe(1);
  expect(areaUnderCurve([1, 2], [3, 4])).toBe(0);
  expect(areaUnderCurve([1, 2], [1, 2])).toBe(0.5);
});

describe("line 11: a hash", () => {
  test.each([COST - 2, COST + 1])(
    "of cost %i becomes one of the configured cost at the next sign-in",
    async (cost) => {
      const person = await buildPerson(system);
      await setHash(person.user.id, cost);
      await signIn(system, person);
      const upgraded = await readHash(person.user.id);
      expect(upgraded).toMatch(/^\$2b\$09\$/);
      await signIn(system, person);
      expect(await readHash(person.user.id)).toBe(upgraded);
    },
  );

  test("stays as it is when the password was wrong", async () => {
    const person = await buildPerson(system);
    const hash = await setHash(person.user.id, COST - 1);
    await httpFor(system).post("/auth/login", { email: person.email, password: "not the password" });
    expect(await readHash(person.user.id)).toBe(hash);
  });
});

test("line 11: more sign-ins than can be hashed are refused at once, while those signed in are served", async () => {
  const person = await buildPerson(system);
  const anyone = httpFor(system);
  const startedAt = performance.now();
  const since = () => performance.now() - startedAt;
  const flood = Array.from({ length: 300 }, async () => {
    const { email } = person;
    const { status, headers, body } = await anyone.post("/auth/login", {
      email,
      password: "not the password",
    });
    return { status, retryAfter: headers.get("retry-after"), body, after: since() };
  });
  const refused = Promise.race(
    flood.map(async (each) => ((await each).status === 503 ? true : new Promise(() => {}))),
  );
  await refused;
  const served = [];
  for (let count = 0; count < 20; count++) served.push((await person.http.get("/auth/me")).status);
  const servedAfter = since();

  const answers = await Promise.all(flood);
  const floodedFor = since();
  const overloaded = answers.filter(({ status }) => status === 503);
  expect(overloaded.length).toBeGreaterThan(100);
  expect(answers.filter(({ status }) => status === 401).length).toBe(300 - overloaded.length);
  for (const { retryAfter, body } of overloaded) {
    expect(retryAfter).toBe("2");
    expect(body).toMatchObject({ status: 503, code: "overloaded" });
  }
  expect(served).toEqual(Array.from({ length: 20 }, () => 200));
  expect(servedAfter).toBeLessThan(floodedFor);
});
