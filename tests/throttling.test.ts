import type { Answer } from "./support/client.ts";
import { buildEmail, buildPerson, httpFor, PASSWORD, type Person } from "./support/client.ts";
import { query } from "./support/database.ts";
import {
  type RunningSystem,
  ready,
  start,
  startMesh,
  startOneProcess,
  stopProcess,
} from "./support/system.ts";

/** What docs/decisions/0013-throttling-of-sign-ins.md promises. */
const PAIR = 10;
const ACCOUNT = 20;
const NETWORK = 30;
const LINKS = 5;

const WRONG = "not the password";
let count = 0;
/** An address that no other attempt comes from. */
const newAddress = () => `198.18.${++count >> 8}.${count & 255}`;

const login = (
  system: RunningSystem,
  email: string,
  { password = WRONG, from = [] as string[] } = {},
): Promise<Answer<{ code?: string }>> =>
  httpFor(system).post(
    "/auth/login",
    { email, password },
    { headers: from.length > 0 ? { "X-Forwarded-For": from.join(", ") } : {} },
  );

const times = <T>(n: number, run: (index: number) => Promise<T>): Promise<T[]> =>
  Promise.all(Array.from({ length: n }, (_, index) => run(index)));

const retryAfterOf = ({ headers }: Answer): number => Number(headers.get("retry-after"));

/** How many attempts were answered; those that were not must say when to try again. */
function answered(answers: Answer<{ code?: string }>[]): number {
  const refused = answers.filter(({ status }) => status === 429);
  for (const { headers, body } of refused) {
    expect(body).toMatchObject({ status: 429, code: "too_many_attempts" });
    const seconds = Number(headers.get("retry-after"));
    expect(seconds).toBeGreaterThan(0);
    expect(seconds).toBeLessThanOrEqual(120);
  }
  const others = answers.filter(({ status }) => status !== 429);
  expect(others.map(({ status }) => status)).toEqual(others.map(() => 401));
  return others.length;
}

/** Registers and signs in from this address. */
async function buildOwner(system: RunningSystem, home: string): Promise<Person> {
  const headers = { "X-Forwarded-For": home };
  const email = buildEmail();
  const registered = await httpFor(system).post<Person["user"]>(
    "/auth/register",
    { email, password: PASSWORD },
    { headers },
  );
  const signedIn = await httpFor(system).post<Person["tokens"]>(
    "/auth/login",
    { email, password: PASSWORD },
    { headers },
  );
  expect([registered.status, signedIn.status]).toEqual([201, 200]);
  const http = httpFor(system, signedIn.body.accessToken);
  return { email, password: PASSWORD, user: registered.body, tokens: signedIn.body, http };
}

describe("behind a proxy, with two replicas of auth", () => {
  let system: RunningSystem;
  let replica: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    system = await startMesh({ RATE_LIMIT: "on", TRUST_PROXY: "1" });
    replica = await start("auth", ["scripts/service.ts", "auth"], system.env);
    await ready(replica.child, `${replica.opsUrl}/health/ready`);
  });
  afterAll(async () => {
    await stopProcess(replica.child);
    await system.stop();
  });

  test("line 9: fifty attempts at once on one account never exceed the budget", async () => {
    const [known, unknown] = [await buildOwner(system, newAddress()), buildEmail()];
    for (const email of [known.email, unknown]) {
      const from = [newAddress()];
      expect(answered(await times(50, () => login(system, email, { from })))).toBe(PAIR);
    }
  });

  test("line 9: one account is not guessed faster from many addresses, and the owner still gets in", async () => {
    const home = newAddress();
    const owner = await buildOwner(system, home);
    expect(answered(await times(50, () => login(system, owner.email, { from: [newAddress()] })))).toBe(
      ACCOUNT,
    );
    expect(await login(system, owner.email, { from: [home] })).toMatchObject({ status: 401 });
    expect(await login(system, owner.email, { password: PASSWORD, from: [home] })).toMatchObject({
      status: 200,
    });
    expect((await owner.http.get("/auth/me")).status).toBe(200);
  });

  test("line 9: many accounts are not guessed faster from one address", async () => {
    const from = [newAddress()];
    expect(answered(await times(60, () => login(system, buildEmail(), { from })))).toBe(NETWORK);
  });

  test("line 9: what a client puts before the proxy's entry resets nothing", async () => {
    const [email, address] = [buildEmail(), newAddress()];
    const answers = await times(30, () => login(system, email, { from: [newAddress(), address] }));
    expect(answered(answers)).toBe(PAIR);
  });

  test("line 9: a refusal is alike whether there is such an account", async () => {
    const [owner, seen] = [await buildOwner(system, newAddress()), [] as object[]];
    for (const email of [owner.email, buildEmail()]) {
      const from = [newAddress()];
      await times(PAIR, () => login(system, email, { from }));
      const { status, headers, body } = await login(system, email, { from, password: PASSWORD });
      seen.push({ status, names: [...headers.keys()].sort(), body: { ...body, requestId: "" } });
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(50);
    }
    expect(seen[0]).toMatchObject({ status: 429 });
    expect(seen[1]).toEqual(seen[0]);
  });

  test("line 9, line 31: it is written down who was slowed down", async () => {
    const [owner, address] = [await buildOwner(system, newAddress()), newAddress()];
    await times(PAIR + 1, () => login(system, owner.email, { from: [address] }));
    const rows = await query(
      system.databaseUrl,
      "SELECT result, address FROM auth.audit_events WHERE event = 'throttle' AND user_id = $1",
      [owner.user.id],
    );
    expect(rows).toEqual([{ result: "failure", address }]);
  });

  test("line 9: the password is not guessed faster by who holds an access token", async () => {
    const owner = await buildOwner(system, newAddress());
    const change = { currentPassword: WRONG, newPassword: "another horse battery staple" };
    const answers = await times(30, (index) =>
      index % 2
        ? owner.http.post<{ code?: string }>("/auth/password", change)
        : owner.http.delete<{ code?: string }>("/auth/me", { password: WRONG }),
    );
    expect(answers.filter(({ status }) => status === 403)).toHaveLength(PAIR);
    for (const { status, body, headers } of answers.filter((each) => each.status !== 403)) {
      expect({ status, body }).toMatchObject({ status: 429, body: { code: "too_many_attempts" } });
      expect(Number(headers.get("retry-after"))).toBeGreaterThan(0);
    }
  });

  test("line 9: links to a new password are not asked for faster, alike whether there is such an account", async () => {
    const [owner, seen] = [await buildOwner(system, newAddress()), [] as object[]];
    for (const email of [owner.email, buildEmail()]) {
      const headers = { "X-Forwarded-For": newAddress() };
      const answers = await times(20, () =>
        httpFor(system).post<{ code?: string }>("/auth/password/forgot", { email }, { headers }),
      );
      expect(answers.filter(({ status }) => status === 202)).toHaveLength(LINKS);
      // One that a slow node was asked for twice may have to wait for the other's budget only.
      const refused = answers
        .filter(({ status }) => status === 429)
        .toSorted((a, b) => retryAfterOf(b) - retryAfterOf(a))[0];
      seen.push({
        names: [...(refused?.headers.keys() ?? [])].sort(),
        body: { ...refused?.body, requestId: "" },
      });
      expect(refused && retryAfterOf(refused)).toBeGreaterThan(200);
    }
    expect(seen[0]).toMatchObject({ body: { status: 429, code: "too_many_attempts" } });
    expect(seen[1]).toEqual(seen[0]);
  });

  test("line 9: attempts of a whole IPv6 network count as one", async () => {
    const email = buildEmail();
    const answers = await times(30, (index) => login(system, email, { from: [`2001:db8:7:7::${index}`] }));
    expect(answered(answers)).toBe(PAIR);
  });
});

describe("without a proxy", () => {
  let system: RunningSystem;
  beforeAll(async () => {
    system = await startOneProcess({ RATE_LIMIT: "on" });
  });
  afterAll(() => system.stop());

  test("line 9: a new X-Forwarded-For resets nothing", async () => {
    const email = buildEmail();
    expect(answered(await times(30, () => login(system, email, { from: [newAddress()] })))).toBe(PAIR);
  });

  const POLICY = /^"(user|address|open-writes)";q=(\d+);w=60$/;
  const STATE = /^"(user|address|open-writes)";r=(\d+);t=(\d+)$/;

  /** The policy that counted a request, and what it left. */
  function readLimit({ headers }: Answer): { name: string; quota: number; left: number } {
    const [, name = "", quota] = POLICY.exec(headers.get("ratelimit-policy") ?? "") ?? [];
    const [, same, left, seconds] = STATE.exec(headers.get("ratelimit") ?? "") ?? [];
    expect(same).toBe(name);
    expect(Number(seconds)).toBeLessThanOrEqual(60);
    return { name, quota: Number(quota), left: Number(left) };
  }

  test("every response says what limit counted it", async () => {
    const person = await buildPerson(system);
    const anyone = httpFor(system);
    const wrongToken = httpFor(system, "wrong");
    const cases: [string, number, Promise<Answer>, string][] = [
      ["GET /auth/me", 200, person.http.get("/auth/me"), "user"],
      ["POST /tasks, wrong", 422, person.http.post("/tasks", {}), "user"],
      ["POST /auth/login, wrong", 422, anyone.post("/auth/login", {}), "open-writes"],
      ["POST /auth/login with a token", 422, person.http.post("/auth/login", {}), "open-writes"],
      ["GET /auth/me, nobody", 401, anyone.get("/auth/me"), "address"],
      ["GET /auth/me, wrong token", 401, wrongToken.get("/auth/me"), "address"],
      ["GET /nowhere", 404, anyone.get("/nowhere"), "address"],
      ["GET /nowhere with a token", 404, person.http.get("/nowhere"), "address"],
      ["PUT /tasks", 405, anyone.send("PUT", "/tasks"), "address"],
      ["OPTIONS /auth/login", 204, anyone.send("OPTIONS", "/auth/login"), "address"],
      ["GET /docs", 200, anyone.get("/docs"), "address"],
      ["GET /.well-known/jwks.json", 200, anyone.get("/.well-known/jwks.json"), "address"],
      ["GET /health/live", 200, anyone.get("/health/live"), "address"],
    ];
    for (const [name, status, sent, policy] of cases) {
      const answer = await sent;
      expect([name, answer.status, readLimit(answer).name]).toEqual([name, status, policy]);
    }
  });

  test("a person has one quota for all tokens, which others don't touch", async () => {
    const [one, other] = [await buildPerson(system), await buildPerson(system)];
    const before = readLimit(await one.http.get("/auth/me"));
    await times(5, () => other.http.get("/auth/me"));
    await httpFor(system).get("/auth/me");
    expect(readLimit(await one.http.get("/tasks")).left).toBe(before.left - 1);
  });

  test("beyond it comes 429 with the seconds until there is more; a person's requests go on", async () => {
    const person = await buildPerson(system);
    const anyone = httpFor(system);
    const { quota } = readLimit(await anyone.get("/.well-known/jwks.json"));
    const answers = await times(quota, () => anyone.get("/auth/me"));
    const refused = answers.filter(({ status }) => status === 429);
    expect(refused.length).toBeGreaterThan(0);
    for (const answer of refused) {
      expect(answer.body).toMatchObject({ status: 429, code: "too_many_requests" });
      expect(answer.headers.get("ratelimit")).toBe(`"address";r=0;t=${answer.headers.get("retry-after")}`);
    }
    expect((await person.http.get("/auth/me")).status).toBe(200);
  });
});

test("without limits there are no such headers", async () => {
  const system = await startOneProcess({ RATE_LIMIT: "off" });
  try {
    const { headers } = await httpFor(system).get("/auth/me");
    expect([headers.get("ratelimit"), headers.get("ratelimit-policy")]).toEqual([null, null]);
  } finally {
    await system.stop();
  }
});
