import { setTimeout as delay } from "node:timers/promises";
import { AMQP_URL } from "./support/broker.ts";
import { buildPerson, httpFor, type Person } from "./support/client.ts";
import { query } from "./support/database.ts";
import { type Line, openLine } from "./support/line.ts";
import { type RunningSystem, ready, start, startMesh, stopProcess } from "./support/system.ts";

/** Milliseconds: what http-api promises of an answer while something behind the gateway is down. */
const PROMISED = 5_000;

/** Milliseconds after which no call goes to a killed node any more. */
const MISSED_WITHIN = 15_000;

describe("when a service is gone", () => {
  let mesh: RunningSystem;
  let person: Person;

  beforeAll(async () => {
    mesh = await startMesh();
    person = await buildPerson(mesh);
  });
  afterAll(() => mesh.stop());

  const child = (name: string) => {
    const found = mesh.processes.find((each) => each.name === name);
    if (!found) throw new Error(`no process ${name}`);
    return found;
  };

  async function expectUnavailable(path: string, token?: string): Promise<void> {
    const startedAt = performance.now();
    const { status, headers, body } = await httpFor(mesh, token).get(path);
    expect({ status, body }).toMatchObject({
      status: 503,
      body: { code: "unavailable", detail: expect.any(String) },
    });
    expect(headers.get("retry-after")).toMatch(/^\d+$/);
    expect(performance.now() - startedAt).toBeLessThan(PROMISED);
  }

  async function replace(name: string): Promise<void> {
    const fresh = await start(name, ["scripts/service.ts", name], mesh.env);
    mesh.processes.splice(mesh.processes.indexOf(child(name)), 1, fresh);
    await ready(fresh.child, `${fresh.opsUrl}/health/ready`);
  }

  const gatewayReady = () => ready(child("api").child, `${mesh.baseUrl}/health/ready`);

  test("line 28: tasks stopped: 503 for tasks, the account still works, nothing is ready", async () => {
    await stopProcess(child("tasks").child);
    await expectUnavailable("/tasks", person.tokens.accessToken);
    // More than one person's may be under way: it is not for that that they are refused.
    const many = await Promise.all(Array.from({ length: 40 }, () => person.http.get("/tasks")));
    expect([...new Set(many.map(({ status }) => status))]).toEqual([503]);
    expect((await person.http.get("/auth/me")).status).toBe(200);
    expect((await httpFor(mesh).get("/tasks")).status).toBe(401);
    expect((await httpFor(mesh).get("/health/live")).status).toBe(200);
    await expectUnavailable("/health/ready");
    expect((await fetch(`${child("api").opsUrl}/health/ready`)).status).toBe(503);
    expect((await fetch(`${child("api").opsUrl}/health/live`)).status).toBe(200);
    await replace("tasks");
    await gatewayReady();
    expect((await person.http.get("/tasks")).status).toBe(200);
  });

  test("line 28: auth killed: 503, never 401 or 200, and all is well again when it is back", async () => {
    await stopProcess(child("auth").child, "SIGKILL");
    await expectUnavailable("/tasks", person.tokens.accessToken);
    await expectUnavailable("/auth/me", person.tokens.accessToken);
    await replace("auth");
    await gatewayReady();
    // Whoever asked it last may have to wait for its heartbeat to be missed; from then on all succeed.
    let succeeded = 0;
    for (const deadline = Date.now() + MISSED_WITHIN; succeeded < 4 && Date.now() < deadline; ) {
      const { status } = await person.http.get("/auth/me");
      expect([200, 503]).toContain(status);
      succeeded = status === 200 ? succeeded + 1 : 0;
    }
    expect(succeeded).toBe(4);
  });

  test("line 23: an account that is deleted while tasks is down is gone, and its tasks are erased when it is back", async () => {
    await person.http.post("/tasks", { title: "To be erased" });
    const tasksOf = () =>
      query(mesh.databaseUrl, "SELECT 1 FROM tasks.tasks WHERE user_id = $1", [person.user.id]);
    await stopProcess(child("tasks").child);
    expect((await person.http.delete("/auth/me", { password: person.password })).status).toBe(204);
    expect((await person.http.get("/auth/me")).status).toBe(401);
    expect(await tasksOf()).toHaveLength(1);

    // auth forgets nothing by being killed, either.
    await stopProcess(child("auth").child, "SIGKILL");
    await replace("auth");
    await replace("tasks");
    for (const deadline = Date.now() + MISSED_WITHIN; Date.now() < deadline; ) {
      if ((await tasksOf()).length === 0) break;
      await delay(200);
    }
    expect(await tasksOf()).toEqual([]);
  }, 60_000);
});

describe("when one of two is gone", () => {
  let mesh: RunningSystem;
  let replicas: Awaited<ReturnType<typeof start>>[];
  let person: Person;

  beforeAll(async () => {
    mesh = await startMesh();
    replicas = await Promise.all(
      ["auth", "tasks"].map((name) => start(name, ["scripts/service.ts", name], mesh.env)),
    );
    await Promise.all(replicas.map(({ child, opsUrl }) => ready(child, `${opsUrl}/health/ready`)));
    person = await buildPerson(mesh);
  });
  afterAll(async () => {
    await Promise.all(replicas.map(({ child }) => stopProcess(child)));
    await mesh.stop();
  });

  test.each([
    ["auth", "SIGKILL"],
    ["tasks", "SIGKILL"],
  ] as const)("line 28: no request fails while one %s of two ends by %s", async (name, signal) => {
    let writes = 0;
    const statuses = new Set<number>();
    const work = async (): Promise<void> => {
      for (let n = 0; n < 15; n++) {
        const { status } = await person.http.post("/tasks", { title: `${name} ${++writes}` });
        statuses.add(status);
        statuses.add((await person.http.get("/tasks")).status);
        const login = { email: person.email, password: person.password };
        statuses.add((await person.http.post("/auth/login", login)).status);
      }
    };
    const working = Promise.all([work(), work(), work()]);
    const victim = replicas.find((each) => each.name === name);
    if (victim) await stopProcess(victim.child, signal);
    await working;
    expect([...statuses].sort()).toEqual([200, 201]);
    const titles = await query(mesh.databaseUrl, "SELECT title FROM tasks.tasks WHERE title LIKE $1", [
      `${name} %`,
    ]);
    expect(titles).toHaveLength(writes);
  });
});

describe("when RabbitMQ is gone", () => {
  let line: Line;
  let mesh: RunningSystem;
  let person: Person;

  beforeAll(async () => {
    line = await openLine(AMQP_URL);
    mesh = await startMesh({ AMQP_URL: line.url });
    person = await buildPerson(mesh);
  });
  afterAll(async () => {
    await line.plugIn();
    await mesh.stop();
    line.close();
  });

  test("line 28: 503, never 200, 401 or 404, and all is well again when it is back", async () => {
    line.pull();
    for (const [method, path] of [
      ["GET", "/tasks"],
      ["GET", "/tasks/01a20414-20d2-704d-a37f-36b70affce42"],
      ["GET", "/auth/me"],
      ["GET", "/health/ready"],
      ["POST", "/auth/logout"],
      ["POST", "/auth/login"],
    ] as const) {
      const body = path === "/auth/login" ? { email: person.email, password: person.password } : undefined;
      const { status, headers, body: problem } = await person.http.send(method, path, { body });
      expect([path, status, Object(problem).code]).toEqual([path, 503, "unavailable"]);
      expect(headers.get("retry-after")).toMatch(/^\d+$/);
      expect(JSON.stringify(problem)).not.toMatch(/rabbit|amqp|broker|127\.0\.0\.1|ECONN/i);
    }
    expect((await httpFor(mesh).get("/health/live")).status).toBe(200);

    await line.plugIn();
    for (const deadline = Date.now() + 2 * MISSED_WITHIN; Date.now() < deadline; ) {
      const { status } = await person.http.get("/tasks");
      expect([200, 503]).toContain(status);
      if (status === 200) break;
      await delay(20);
    }
    expect((await person.http.get("/auth/me")).status).toBe(200);
  }, 60_000);
});
