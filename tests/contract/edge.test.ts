import { connect } from "node:net";
import { routes } from "../../services/api/routes.ts";
import { buildPerson, buildTask, httpFor, PASSWORD } from "../support/client.ts";
import { systems } from "../support/systems.ts";

const JSON_TYPE = { "Content-Type": "application/json" };
const APP = "https://app.example.com";

describe.each(systems)("the edge, %s", (_mode, system) => {
  const anyone = httpFor(system);

  /** Sends bytes that fetch would not, and gives back all that comes until the connection closes. */
  const sendRaw = (text: string): Promise<string> =>
    new Promise((resolve, reject) => {
      const { hostname, port } = new URL(system.baseUrl);
      const socket = connect(Number(port), hostname, () => socket.write(text));
      let received = "";
      socket.on("data", (chunk) => {
        received += chunk;
      });
      socket.on("close", () => resolve(received));
      socket.on("error", reject);
    });

  test("garbage behind a request is refused after that one's answer", async () => {
    const answers = await sendRaw("GET /openapi.json HTTP/1.1\r\nHost: x\r\n\r\nGARBAGE\r\n\r\n");
    const [first, second] = answers.split(/(?=HTTP\/1\.1 400)/);
    expect(first).toMatch(/^HTTP\/1\.1 200/);
    expect(second).toMatch(/^HTTP\/1\.1 400.*X-Request-Id: [0-9a-f-]{36}\r\n.*"code":"invalid_request"/s);
  });

  test("a target may be a whole URI", async () => {
    const answer = await sendRaw("GET http://x/health/live HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    expect(answer).toMatch(/^HTTP\/1\.1 200/);
  });

  describe("problem documents", () => {
    test("say what, where and which request", async () => {
      const { status, headers, body } = await anyone.get("/nowhere", {
        headers: { "X-Request-Id": "my-id.1" },
      });
      expect(status).toBe(404);
      expect(headers.get("content-type")).toBe("application/problem+json");
      expect(headers.get("cache-control")).toBe("no-store");
      expect(body).toEqual({
        type: "/docs/problems#not_found",
        title: "Not found",
        status: 404,
        detail: expect.any(String),
        instance: "/nowhere",
        code: "not_found",
        requestId: "my-id.1",
      });
    });

    test.each([
      ["GET", "/tasks/"],
      ["GET", "//tasks"],
      ["GET", "/tasks/%ff"],
      ["GET", "/api/tasks"],
      ["GET", "/~node/options"],
      ["GET", "/$node/list"],
      ["GET", "/tasks.list"],
      ["GET", "/auth.jwks"],
      ["GET", "/api/rest"],
      ["GET", "/list-aliases"],
      ["POST", "/api/addRoute"],
      ["GET", "/auth/verify"],
      ["GET", "/..%2f..%2fetc/passwd"],
    ])("line 28: %s %s finds nothing that is not in the route table", async (method, path) => {
      const { status } = await anyone.send(method, path);
      // A trailing slash is the same resource, which asks for credentials.
      expect(status).toBe(path === "/tasks/" ? 401 : 404);
    });
  });

  describe("methods", () => {
    test.each(
      [...Map.groupBy(routes, ({ path }) => path)].map(
        ([path, all]) => [path, all.map(({ method }) => method)] as const,
      ),
    )("%s answers other methods with 405 and what is allowed", async (path, methods) => {
      const allowed = methods.flatMap((method) => (method === "GET" ? ["GET", "HEAD"] : [method]));
      const url = path.replace(/:\w+/, "01a20414-20d2-704d-a37f-36b70affce42");
      for (const method of ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "PROPFIND"]) {
        if (allowed.some((each) => each === method)) continue;
        const { status, headers } = await anyone.send(method, url);
        expect({ method, status }).toEqual({ method, status: 405 });
        expect(headers.get("allow")?.split(", ")).toEqual(expect.arrayContaining([...allowed, "OPTIONS"]));
      }
    });

    test("HEAD answers like GET, without the body", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      for (const path of ["/tasks", `/tasks/${id}`, "/auth/me", "/.well-known/jwks.json", "/health/live"]) {
        const [head, get] = await Promise.all([person.http.send("HEAD", path), person.http.get(path)]);
        expect({ path, status: head.status, body: head.body }).toEqual({
          path,
          status: get.status,
          body: "",
        });
        for (const name of ["content-type", "content-length", "cache-control"]) {
          expect(head.headers.get(name)).toBe(get.headers.get(name));
        }
      }
      expect((await person.http.send("HEAD", "/tasks/01a20414-20d2-704d-a37f-36b70affce42")).status).toBe(
        404,
      );
      expect((await anyone.send("HEAD", "/tasks")).status).toBe(401);
    });
  });

  describe("bodies", () => {
    const login = (raw: string | Buffer, headers: Record<string, string> = JSON_TYPE) =>
      anyone.send("POST", "/auth/login", { raw, headers });

    test.each([
      ["broken JSON", "{", 400, "invalid_json"],
      ["no JSON at all", "hello", 400, "invalid_json"],
      ["NaN", '{"email":NaN}', 400, "invalid_json"],
      ["a key given twice", '{"email":"a@x.com","email":"b@x.com","password":"x"}', 400, "invalid_json"],
      ["a nested key given twice", '{"email":{"a":1,"a":2},"password":"x"}', 400, "invalid_json"],
      ["an array", "[]", 422, "validation_failed"],
      ["a string", '"x"', 422, "validation_failed"],
      ["null", "null", 422, "validation_failed"],
      ["nothing", "", 422, "validation_failed"],
    ])("line 27: %s is refused", async (_, raw, expected, code) => {
      const { status, body } = await login(raw);
      expect({ status, body }).toMatchObject({ status: expected, body: { code } });
    });

    test("line 27: more than a hundred levels are refused where any value is taken", async () => {
      const { http } = await buildPerson(system);
      for (const depth of [100, 3_000, 7_000]) {
        const raw = `{"atomic":false,"operations":${"[".repeat(depth)}${"]".repeat(depth)}}`;
        expect(await http.send("POST", "/tasks/bulk", { raw, headers: JSON_TYPE })).toMatchObject({
          status: 422,
          body: { errors: [{ code: "too_deep" }] },
        });
      }
    });

    test("a field named like a part of the path is a field too many, and the task is there", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      for (const [method, path, body] of [
        ["POST", `/tasks/${id}/revert`, { id, version: 1 }],
        ["DELETE", `/tasks/${id}`, { id }],
        ["POST", `/trash/${id}/restore`, { id }],
      ] as const)
        expect(await person.http.send(method, path, { body })).toMatchObject({
          status: 422,
          body: { errors: [{ pointer: "/id", code: "unknown_field" }] },
        });
    });

    test("a number that is larger than any is none, and clears nothing", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person, { due: "2026-12-01" });
      const patch = (raw: string) =>
        person.http.send("PATCH", `/tasks/${task.id}`, { raw, headers: JSON_TYPE });
      for (const raw of ['{"due":1e999}', '{"due":-1e999}'])
        expect(await patch(raw)).toMatchObject({
          status: 422,
          body: { errors: [{ pointer: "/due", code: "too_large" }] },
        });
      expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(task);
    });

    test("line 27: 10,000 and 400,000 nested brackets are refused", async () => {
      for (const depth of [10_000, 400_000]) {
        const raw = `{"email":${"[".repeat(depth)}${"]".repeat(depth)},"password":"x"}`;
        const { status } = await login(raw);
        expect([400, 422]).toContain(status);
      }
    });

    test("what is not UTF-8 is refused", async () => {
      const raw = Buffer.from('{"email":"\xff@x.com","password":"x"}', "latin1");
      expect(await login(raw)).toMatchObject({ status: 400, body: { code: "invalid_json" } });
    });

    test("line 27: more than 1 MiB is refused, a little less is read", async () => {
      const sized = (bytes: number) => `{"password":"${"x".repeat(bytes - 15)}"}`;
      expect(await login(sized(1_048_577))).toMatchObject({
        status: 413,
        body: { code: "payload_too_large" },
      });
      expect(await login(sized(1_048_576))).toMatchObject({ status: 422 });
    });

    test("line 27: more than 20,000 values are refused as a whole, wrong or not", async () => {
      const person = await buildPerson(system);
      for (const tag of [1, "x"]) {
        const answer = await person.http.post("/tasks", { title: "x", tags: new Array(20_000).fill(tag) });
        expect(answer).toMatchObject({
          status: 422,
          body: { code: "validation_failed", errors: [{ code: "too_many" }] },
        });
      }
    });

    test("line 27: too much is refused before it has come", async () => {
      const head = "POST /auth/login HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n";
      const answer = await sendRaw(`${head}Content-Length: 5000000\r\nConnection: close\r\n\r\n{`);
      expect(answer).toMatch(/^HTTP\/1\.1 413 .*"code":"payload_too_large"/s);
    });

    test.each([
      ["text/plain", 415],
      ["application/x-www-form-urlencoded", 415],
      ["application/merge-patch+json", 415],
      ["application/json; charset=latin1", 415],
      ["application/json;charset=UTF-8", 422],
      ["APPLICATION/JSON", 422],
    ])("of type %s are answered with %i", async (type, expected) => {
      const { status, headers } = await login("{}", { "Content-Type": type });
      expect(status).toBe(expected);
      expect(headers.get("accept-post")).toBe(expected === 415 ? "application/json" : null);
    });

    test("a wrong type on PATCH is told what PATCH takes", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      const answer = await person.http.send("PATCH", `/tasks/${id}`, {
        raw: "x",
        headers: { "Content-Type": "text/plain" },
      });
      expect(answer.status).toBe(415);
      expect(answer.headers.get("accept-patch")).toBe("application/merge-patch+json, application/json");
    });

    test("fields where none are taken are refused, not ignored", async () => {
      const person = await buildPerson(system);
      expect((await person.http.post("/auth/logout", { everywhere: true })).status).toBe(422);
      expect(
        (await person.http.delete(`/tasks/01a20414-20d2-704d-a37f-36b70affce42`, { hard: true })).status,
      ).toBe(422);
      expect((await person.http.post("/auth/logout?all=true")).status).toBe(422);
      expect((await person.http.post("/tasks?title=x", { title: "x" })).status).toBe(422);
      expect((await person.http.get("/auth/me")).status).toBe(200);
      expect((await person.http.post("/auth/logout", {})).status).toBe(204);
    });
  });

  describe("request ids", () => {
    test.each(["abc", "A.b_c-9", "x".repeat(64)])("a client's own %s is kept", async (id) => {
      const { headers } = await anyone.get("/health/live", { headers: { "X-Request-Id": id } });
      expect(headers.get("x-request-id")).toBe(id);
    });

    test.each(["a b", "x".repeat(65), "a<b>", "é"])("%p is replaced", async (id) => {
      const { headers } = await anyone.get("/nowhere", {
        headers: { "X-Request-Id": Buffer.from(id).toString("latin1") },
      });
      expect(headers.get("x-request-id")).toMatch(/^[0-9a-f-]{36}$/);
    });
  });

  describe("cross-origin requests", () => {
    const preflight = (origin: string) =>
      anyone.send("OPTIONS", "/tasks", {
        headers: {
          Origin: origin,
          "Access-Control-Request-Method": "POST",
          "Access-Control-Request-Headers": "authorization",
        },
      });

    test("a listed origin may call and read the promised headers", async () => {
      const { status, headers } = await preflight(APP);
      expect(status).toBe(204);
      expect(headers.get("access-control-allow-origin")).toBe(APP);
      expect(headers.get("access-control-allow-methods")).toContain("POST");
      expect(headers.get("access-control-allow-headers")).toBe("authorization");
      const answer = await anyone.get("/tasks", { headers: { Origin: APP } });
      expect(answer.status).toBe(401);
      expect(answer.headers.get("access-control-allow-origin")).toBe(APP);
      for (const name of [
        "ETag",
        "Link",
        "Location",
        "RateLimit",
        "RateLimit-Policy",
        "Retry-After",
        "X-Request-Id",
      ]) {
        expect(answer.headers.get("access-control-expose-headers")?.split(",")).toContain(name);
      }
    });

    test.each([
      "https://app.example.co",
      "https://app.example.com.evil.test",
      "http://app.example.com",
      "null",
      "https://example.com",
    ])("%s may not", async (origin) => {
      const [pre, answer] = await Promise.all([
        preflight(origin),
        anyone.get("/nowhere", { headers: { Origin: origin } }),
      ]);
      expect(pre.headers.get("access-control-allow-origin")).toBeNull();
      expect(answer.headers.get("access-control-allow-origin")).toBeNull();
      expect(answer.headers.get("vary")).toContain("Origin");
    });
  });

  describe("raw connections", () => {
    test("what is no HTTP gets a problem document and the connection closed", async () => {
      const received = await sendRaw("HELLO\r\n\r\n");
      expect(received).toMatch(/^HTTP\/1\.1 400 /);
      expect(received).toContain('"code":"invalid_request"');
    });

    test("line 27: headers beyond the limit are refused", async () => {
      const received = await sendRaw(`GET / HTTP/1.1\r\nHost: x\r\nX-Long: ${"x".repeat(20_000)}\r\n\r\n`);
      expect(received).toMatch(/^HTTP\/1\.1 431 /);
    });

    test("line 12: two Authorization headers are no credentials", async () => {
      const { tokens } = await buildPerson(system);
      const header = `Authorization: Bearer ${tokens.accessToken}\r\n`;
      const request = (headers: string) =>
        `GET /auth/me HTTP/1.1\r\nHost: x\r\nConnection: close\r\n${headers}\r\n`;
      expect(await sendRaw(request(header))).toMatch(/^HTTP\/1\.1 200 /);
      expect(await sendRaw(request(header + header))).toMatch(/^HTTP\/1\.1 401 /);
    });
  });

  test("health answers on the gateway's own port", async () => {
    expect(await anyone.get("/health/live")).toMatchObject({ status: 200, body: { status: "ok" } });
    expect(await anyone.get("/health/ready")).toMatchObject({ status: 200, body: { status: "ok" } });
  });

  test("a browser that opens the address finds the docs", async () => {
    const { status, headers } = await anyone.get("/", { headers: { Accept: "text/html" } });
    expect(status).toBe(302);
    expect(headers.get("location")).toBe("/docs");
  });

  test("line 28: errors tell nothing of what runs inside", async () => {
    const bodies = await Promise.all([
      anyone.post("/auth/login", { email: { $ne: "" }, password: PASSWORD }),
      anyone.get("/tasks/%ff"),
      anyone.send("POST", "/tasks", { raw: "{", headers: JSON_TYPE }),
    ]);
    for (const { body, headers } of bodies) {
      expect(JSON.stringify(body)).not.toMatch(
        /\bat .*:\d+|sequelize|postgres|moleculer|joi|node_modules|nodeID/i,
      );
      expect(headers.get("x-powered-by")).toBeNull();
    }
  });
});
