import { randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { buildEmail, buildPerson, httpFor, PASSWORD } from "./support/client.ts";
import { type OtlpCollector, type ReceivedSpan, startOtlpCollector } from "./support/otlp-collector.ts";
import { type Scrape, scrape } from "./support/prometheus.ts";
import { type RunningSystem, startMesh, startOneProcess } from "./support/system.ts";

const [SERVER, CLIENT] = [2, 3];
/** What a start and a migration tell who runs them, before and beside the log. */
const SAID_BY_SCRIPTS = /^Taskmesh is ready|^Data is kept|^(auth|tasks) +applied/;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

const folder = mkdtempSync(join(tmpdir(), "taskmesh-visible-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

test("traces begin at the share that is set, others' are sent as they say, and a collector that is away is told of", async () => {
  const collector = await startOtlpCollector();
  const logFile = join(folder, "sampled.log");
  const system = await startOneProcess({
    OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
    OTEL_TRACES_SAMPLER_ARG: "0",
    LOG_FORMAT: "json",
    TEST_OUTPUT: logFile,
  });
  const http = httpFor(system);
  const ask = (path: string, flags: string, traceId = randomBytes(16).toString("hex")) =>
    http
      .get(path, { headers: { traceparent: `00-${traceId}-${randomBytes(8).toString("hex")}-${flags}` } })
      .then(() => traceId);
  try {
    await http.get("/nowhere/begun-here");
    const left = await ask("/nowhere/left", "00");
    const kept = await ask("/nowhere/kept", "01");
    expect(await collector.trace(kept, (spans) => spans.length === 1)).toHaveLength(1);
    expect(collector.received().match(/"traceId":"[0-9a-f]+"/g)).toEqual([`"traceId":"${kept}"`]);
    expect(collector.received()).not.toContain(left);

    await collector.stop();
    const told = (): string[] =>
      readFileSync(logFile, "utf8")
        .split("\n")
        .filter((line) => line.includes("traces could not be sent"));
    while (told().length === 0) {
      await ask("/nowhere/lost", "01");
      await delay(100);
    }
    expect(JSON.parse(told()[0] ?? "")).toMatchObject({ level: 40, err: { code: "ECONNREFUSED" } });
  } finally {
    await system.stop();
  }
}, 60_000);

describe.each([
  ["one process", startOneProcess, ["all"]],
  ["mesh", startMesh, ["api", "auth", "tasks"]],
] as const)("what shows of %s", (mode, startSystem, names) => {
  let collector: OtlpCollector;
  let system: RunningSystem;
  const logFile = join(folder, `${mode}.log`);

  beforeAll(async () => {
    collector = await startOtlpCollector();
    system = await startSystem({
      OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      TEST_OUTPUT: logFile,
      LOG_LEVEL: "trace",
      RATE_LIMIT: "on",
    });
  }, 60_000);

  afterAll(async () => {
    await system?.stop();
    await collector?.stop();
  });

  const traceparent = () => {
    const [traceId, spanId] = [randomBytes(16).toString("hex"), randomBytes(8).toString("hex")];
    return { traceId, spanId, header: `00-${traceId}-${spanId}-01` };
  };

  describe("a trace", () => {
    test("has the client's id and leads from the request over both bus hops to the SQL", async () => {
      const { http, email } = await buildPerson(system);
      const { traceId, spanId, header } = traceparent();
      const answer = await http.post(
        "/tasks",
        { title: "Seldom words" },
        { headers: { traceparent: header } },
      );
      expect(answer.status).toBe(201);

      const wanted = ["POST /tasks", "auth.verify", "tasks.create"];
      const spans = await collector.trace(
        traceId,
        (found) =>
          wanted.every((name) => found.some((span) => span.name === name && span.kind === SERVER)) &&
          statementsUnder(found, "auth.verify").length > 0 &&
          statementsUnder(found, "tasks.create").length > 0,
      );
      const root = one(spans, "POST /tasks", SERVER);
      expect(root.parentSpanId).toBe(spanId);
      for (const action of ["auth.verify", "tasks.create"]) {
        const call = one(spans, action, CLIENT);
        const served = one(spans, action, SERVER);
        expect(call.parentSpanId).toBe(root.spanId);
        expect(served.parentSpanId).toBe(call.spanId);
        expect(call.process).toBe(mode === "mesh" ? "taskmesh-api" : "taskmesh-auth+tasks+api");
        if (mode === "mesh") expect(served.process).toBe(`taskmesh-${action.split(".")[0]}`);
        const [query] = statementsUnder(spans, action);
        expect(query).toMatchObject({ kind: CLIENT, process: served.process });
      }
      expect(statementsUnder(spans, "tasks.create").map(({ attributes }) => attributes)).toContainEqual({
        "db.system.name": "postgresql",
        "db.operation.name": expect.stringMatching(/^(insert|with)$/),
        "db.query.text": expect.stringMatching(/INSERT INTO[\s\S]*\$1/i),
      });
      expect(root.attributes).toEqual({
        "http.request.method": "POST",
        "http.route": "/tasks",
        "http.response.status_code": 201,
      });
      for (const value of [email, PASSWORD, "Seldom words"])
        expect(collector.received()).not.toContain(value);
      expect(collector.received()).not.toMatch(/eyJ\w+\.|tm[rpcm]_/);
    });

    test("begins at the gateway when the client has none, or one that is not valid", async () => {
      const { http } = await buildPerson(system);
      const { traceId } = traceparent();
      const requestId = `trace-${traceId}`;
      await http.get("/tasks", {
        headers: { traceparent: `00-${"0".repeat(32)}-0000000000000001-01`, "X-Request-Id": requestId },
      });
      const [line] = await linesOf(requestId, "request");
      const spans = await collector.trace(String(line?.traceId), (found) =>
        found.some(({ name }) => name === "GET /tasks"),
      );
      expect(one(spans, "GET /tasks", SERVER).parentSpanId ?? "").toBe("");
    });

    test("is left alone when its beginner did not sample it, and answers say nothing of it", async () => {
      const { traceId, spanId } = traceparent();
      const answer = await httpFor(system).get("/health/live", {
        headers: { traceparent: `00-${traceId}-${spanId}-00` },
      });
      expect([...answer.headers.keys()].filter((name) => /trace/.test(name))).toEqual([]);
      const after = traceparent();
      await httpFor(system).get("/health/live", { headers: { traceparent: after.header } });
      await collector.trace(after.traceId, (found) => found.length > 0);
      expect(await collector.trace(traceId, () => true)).toEqual([]);
    });
  });

  describe("the log", () => {
    test("has the request's and the trace's id on each line of a request, in every process", async () => {
      const requestId = `req-${randomBytes(8).toString("hex")}`;
      const { traceId, header } = traceparent();
      const answer = await httpFor(system).post(
        "/auth/register",
        { email: buildEmail(), password: PASSWORD },
        { headers: { "X-Request-Id": requestId, traceparent: header } },
      );
      expect(answer.headers.get("x-request-id")).toBe(requestId);
      const lines = await linesOf(requestId, "request");
      expect(lines.map(({ msg }) => msg)).toEqual(expect.arrayContaining(["audit register", "request"]));
      // Below it is Moleculer's own talk of packets, on their way to a request.
      const INFO = 30;
      for (const line of lines.filter(({ level }) => Number(level) >= INFO))
        expect(line).toMatchObject({ requestId, traceId });
    });

    test("is JSON, line by line, and holds no password and no token, whatever is sent and however much is logged", async () => {
      const { http, tokens, email } = await buildPerson(system);
      const secrets = [
        PASSWORD,
        "wrong horse entirely",
        "another staple battery",
        tokens.accessToken,
        tokens.refreshToken,
      ];
      const anyone = httpFor(system);
      await anyone.post("/auth/login", { email, password: "wrong horse entirely" });
      await anyone.post("/auth/login", { email, password: { nested: "wrong horse entirely" } });
      await anyone.post("/auth/login", undefined, {
        raw: '{"password": "wrong horse entirely"',
        headers: { "Content-Type": "application/json" },
      });
      await anyone.get("/tasks", { headers: { Authorization: `Bearer ${tokens.accessToken}x` } });
      await anyone.get("/tasks", { headers: { Cookie: "session=wrong horse entirely" } });
      const made = await http.post<{ token: string }>("/auth/tokens", { name: "a", scopes: ["tasks:read"] });
      secrets.push(made.body.token);
      await httpFor(system, made.body.token).get("/tasks");
      const refreshed = await anyone.post<{ accessToken: string; refreshToken: string }>("/auth/refresh", {
        refreshToken: tokens.refreshToken,
      });
      secrets.push(refreshed.body.accessToken, refreshed.body.refreshToken);
      await anyone.post("/auth/refresh", { refreshToken: tokens.refreshToken });
      await anyone.post("/auth/password/forgot", { email });
      const again = await anyone.post<{ accessToken: string }>("/auth/login", { email, password: PASSWORD });
      secrets.push(again.body.accessToken);
      const me = httpFor(system, again.body.accessToken);
      await me.post("/auth/password", { currentPassword: PASSWORD, newPassword: "another staple battery" });
      const requestId = `req-${randomBytes(8).toString("hex")}`;
      await me.delete(
        "/auth/me",
        { password: "another staple battery" },
        { headers: { "X-Request-Id": requestId } },
      );
      await linesOf(requestId, "request");

      const lines = logged();
      expect(lines.length).toBeGreaterThan(20);
      for (const line of lines.filter((each) => !SAID_BY_SCRIPTS.test(each))) {
        expect(JSON.parse(line)).toMatchObject({ level: expect.any(Number), time: expect.any(Number) });
        // The link of a mail that no server sends is what a person without one reads the log for.
        const { link: _link, ...rest } = JSON.parse(line);
        const text = JSON.stringify(rest);
        for (const secret of secrets) expect(text).not.toContain(secret);
        expect(text).not.toMatch(/eyJ[\w-]+\.[\w-]+\.|tm[rpcm]_[\w-]{10}|\$2b\$|:\/\/[^:/"\s]+:[^@"\s]+@/);
      }
    });
  });

  describe("metrics", () => {
    test("are shown by every process, with routes and actions and never what was sent", async () => {
      const { http, email, user } = await buildPerson(system);
      const created = await http.post<{ id: string }>("/tasks", { title: "Seldom words" });
      await http.get(`/tasks/${created.body.id}`);
      await http.get(`/tasks/${created.body.id}/no/such/${email}`);
      await http.send("BREW", "/tasks").catch(() => {});
      await http.get("/changes?since=0");
      await httpFor(system).post("/auth/login", { email, password: "wrong" });

      const pages: Record<string, Scrape> = Object.fromEntries(
        await Promise.all(
          system.processes.map(async ({ name, opsUrl }) => [name, await scrape(opsUrl)] as const),
        ),
      );
      expect(Object.keys(pages).sort()).toEqual([...names]);
      const page = (name: string): Scrape => {
        const found = pages[name] ?? pages.all;
        if (!found) throw new Error(`no ${name}`);
        return found;
      };
      const [api, auth, tasks] = [page("api"), page("auth"), page("tasks")];

      expect(
        api.value("taskmesh_http_request_duration_seconds_count", {
          method: "GET",
          route: "/tasks/:id",
          status: "2xx",
        }),
      ).toBeGreaterThanOrEqual(1);
      expect(
        api.value("taskmesh_http_request_duration_seconds_count", {
          method: "GET",
          route: "other",
          status: "4xx",
        }),
      ).toBeGreaterThanOrEqual(1);
      expect(
        api.value("taskmesh_bus_call_duration_seconds_count", {
          action: "tasks.create",
          side: "client",
          outcome: "ok",
        }),
      ).toBeGreaterThanOrEqual(1);
      expect(
        tasks.value("taskmesh_bus_call_duration_seconds_count", {
          action: "tasks.create",
          side: "server",
          outcome: "ok",
        }),
      ).toBeGreaterThanOrEqual(1);
      expect(
        auth.value("taskmesh_bus_call_duration_seconds_count", {
          action: "auth.login",
          side: "server",
          outcome: "refused",
        }),
      ).toBeGreaterThanOrEqual(1);
      expect(
        auth.value("taskmesh_auth_events_total", { event: "login", result: "failure" }),
      ).toBeGreaterThanOrEqual(1);
      // Watched by an alert, and so there from the start.
      expect(auth.value("taskmesh_auth_events_total", { event: "refresh_reuse", result: "failure" })).toBe(0);
      expect(auth.value("taskmesh_hash_queue_wait_seconds_count", {})).toBeGreaterThanOrEqual(3);
      expect(
        auth.value("taskmesh_database_pool_connections", { pool: "auth", state: "idle" }),
      ).toBeGreaterThanOrEqual(0);
      expect(
        tasks.value("taskmesh_database_query_duration_seconds_count", { operation: "select", outcome: "ok" }),
      ).toBeGreaterThanOrEqual(1);
      expect(tasks.value("taskmesh_change_hint_lag_seconds_count", {})).toBeGreaterThanOrEqual(1);
      expect(tasks.value("taskmesh_change_read_lag_seconds_count", {})).toBeGreaterThanOrEqual(1);
      expect(api.value("taskmesh_event_streams", {})).toBe(0);
      for (const page of Object.values(pages)) {
        expect(page.value("taskmesh_bus_connected", {})).toBe(1);
        expect(page.names).toContain("nodejs_eventloop_lag_p99_seconds");
        expect(page.text).toMatch(/^taskmesh_build_info\{version="\d+\.\d+\.\d+",node="v\d+/m);
        for (const label of page.labels) {
          expect(label).not.toMatch(UUID);
          expect(label).not.toContain("@");
          for (const sent of [user.id, email, created.body.id, "Seldom", "BREW"])
            expect(label).not.toContain(sent);
        }
      }
    });

    test("count who is slowed down, by the limit", async () => {
      const { email } = await buildPerson(system);
      const anyone = httpFor(system);
      let status = 0;
      for (let attempt = 0; attempt < 40 && status !== 429; attempt++)
        ({ status } = await anyone.post("/auth/login", { email, password: "wrong" }));
      expect(status).toBe(429);
      const gateway = system.processes.find(({ name }) => name === "api" || name === "all");
      const page = await scrape(gateway?.opsUrl ?? "");
      expect(page.value("taskmesh_throttled_requests_total", { policy: "attempts" })).toBe(1);
    });
  });

  const logged = (): string[] => readFileSync(logFile, "utf8").trimEnd().split("\n");

  /** The log's lines of a request, once one of them has this message. */
  async function linesOf(requestId: string, last: string): Promise<Record<string, unknown>[]> {
    for (const deadline = Date.now() + 20_000; Date.now() < deadline; ) {
      const lines = logged()
        .filter((line) => line.includes(requestId))
        .map((line): Record<string, unknown> => JSON.parse(line));
      if (lines.some(({ msg }) => msg === last)) return lines;
      await delay(20);
    }
    throw new Error(`no line "${last}" of ${requestId}`);
  }
});

const one = (spans: ReceivedSpan[], name: string, kind: number): ReceivedSpan => {
  const found = spans.filter((span) => span.name === name && span.kind === kind);
  if (found.length !== 1 || !found[0]) throw new Error(`${found.length} spans ${name}`);
  return found[0];
};

/** The SQL statements that ran for an action, as its children. */
function statementsUnder(spans: ReceivedSpan[], action: string): ReceivedSpan[] {
  const served = spans.find((span) => span.name === action && span.kind === SERVER);
  return spans.filter(
    ({ parentSpanId, attributes }) =>
      served && parentSpanId === served.spanId && "db.system.name" in attributes,
  );
}
