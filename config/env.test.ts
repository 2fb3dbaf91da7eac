import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { parseEnv, settingNames } from "./env.ts";
import { busService } from "./rules.ts";

const violationsOf = (source: Record<string, string>): string[] => parseEnv(source).violations;

const settings = (source: Record<string, string>) => {
  const result = parseEnv(source);
  if (!("env" in result)) throw new Error(result.violations.join("; "));
  return result.env;
};

const SECRET = "kYzr0T4n9vQ1uS7xB3mW8dJ5hG2cL6pA";

describe("the settings", () => {
  it("have defaults to run in one process with nothing set", () => {
    expect(settings({})).toEqual({
      HOST: "0.0.0.0",
      PORT: 3000,
      OPS_PORT: 3001,
      OTEL_TRACES_SAMPLER_ARG: 1,
      BUS_USERS: "shared",
      MESH_NAMESPACE: "taskmesh",
      DATA_DIR: ".data",
      ACCESS_TOKEN_TTL: 600,
      REFRESH_TOKEN_TTL: 7 * 86_400,
      BCRYPT_COST: 12,
      CORS_ORIGINS: [],
      CONTENT_SERVICES: ["tasks"],
      REQUIRE_VERIFIED_EMAIL: "off",
      TRUST_PROXY: 0,
      EXTRA_ROUTES: [],
      TRASH_RETENTION: 30 * 86_400,
      CHANGES_RETENTION: 365 * 86_400,
      AUDIT_RETENTION: 365 * 86_400,
      RATE_LIMIT: "on",
      LOG_LEVEL: "info",
      DRAIN_DELAY: 2,
    });
  });

  it("take an empty variable for none, as compose files write them", () => {
    expect(settings(Object.fromEntries(settingNames.map((name) => [name, ""])))).toEqual(settings({}));
  });

  it("pass over whatever else is in the environment", () => {
    expect(settings({ PATH: "/bin", NODE_ENV: "production", NAMESPACE: "x", LOGGER: "false" })).toEqual(
      settings({}),
    );
  });

  it("have one database for both services unless each has its own", () => {
    const [shared, own] = ["postgres://db/shared", "postgresql://db/own"];
    expect(settings({ DATABASE_URL: shared })).toMatchObject({
      AUTH_DATABASE_URL: shared,
      TASKS_DATABASE_URL: shared,
    });
    expect(settings({ DATABASE_URL: shared, TASKS_DATABASE_URL: own })).toMatchObject({
      AUTH_DATABASE_URL: shared,
      TASKS_DATABASE_URL: own,
    });
  });

  it("read durations in seconds, lists at their commas", () => {
    expect(
      settings({
        ACCESS_TOKEN_TTL: "15m",
        REFRESH_TOKEN_TTL: "12h",
        CORS_ORIGINS: "https://a.example, http://b:8080",
        EXTRA_ROUTES: "a/routes.ts, b/routes.ts",
        CONTENT_SERVICES: "tasks, my-focus,v2.agenda",
      }),
    ).toMatchObject({
      ACCESS_TOKEN_TTL: 900,
      REFRESH_TOKEN_TTL: 43_200,
      CORS_ORIGINS: ["https://a.example", "http://b:8080"],
      EXTRA_ROUTES: ["a/routes.ts", "b/routes.ts"],
      CONTENT_SERVICES: ["tasks", "my-focus", "v2.agenda"],
    });
  });

  it.each([
    ["PORT", "0"],
    ["PORT", "65536"],
    ["PORT", "http"],
    ["PORT", "80.5"],
    ["OPS_PORT", "-1"],
    ["DATABASE_URL", "mysql://db/x"],
    ["DATABASE_URL", "postgres:/db"],
    ["AUTH_DATABASE_URL", "localhost:5432"],
    ["TASKS_DATABASE_URL", "postgres://[::1/x"],
    ["AMQP_URL", "http://localhost"],
    ["AMQP_URL", "amqp://rabbit"],
    ["AMQP_URL", "amqp://guest:0f1e2d3c4b5a69788796a5b4c3d2e1f0@rabbit"],
    ["AMQP_URL", "amqp://taskmesh@rabbit"],
    ["AMQP_URL", "amqp://taskmesh:0f1e2d3c4b5a697@rabbit"],
    ["AMQP_URL", "amqp://taskmesh:change-me-soon-0f1e2d3c4b5a@rabbit"],
    ["AMQP_URL", "amqp://localhost;amqp://guest:guest@rabbit"],
    ["AMQP_URL", "amqp://localhost:5672;http://localhost:5673"],
    ["AMQP_URL", "amqp://localhost:5672;localhost"],
    ["AMQP_URL", ";"],
    ["AMQP_URL", "amqp://taskmesh:0f1e2d3c4b5a69788796a5b4c3d2e1f0%@rabbit"],
    ["AMQP_URL", "amqp://taskmesh:50%off@localhost"],
    ["BUS_USERS", "own"],
    ["MESH_NAMESPACE", "Mesh"],
    ["MESH_NAMESPACE", "a.b"],
    ["MESH_NAMESPACE", "x".repeat(64)],
    ["AUTH_SECRET", "short"],
    ["AUTH_SECRET", "a".repeat(64)],
    ["AUTH_SECRET", "change-me-change-me-change-me-please"],
    ["AUTH_SECRET", "my-very-long-and-winding-secret-0123456789"],
    ["ACCESS_TOKEN_TTL", "6m"],
    ["ACCESS_TOKEN_TTL", "16m"],
    ["ACCESS_TOKEN_TTL", "600"],
    ["ACCESS_TOKEN_TTL", "10 m"],
    ["REFRESH_TOKEN_TTL", "31d"],
    ["REFRESH_TOKEN_TTL", "1.5h"],
    ["BCRYPT_COST", "3"],
    ["BCRYPT_COST", "17"],
    ["CORS_ORIGINS", "*"],
    ["CORS_ORIGINS", "https://app.example.com/"],
    ["CORS_ORIGINS", "https://app.example.com,app.example.com"],
    ["PUBLIC_URL", "tasks.example.com"],
    ["PUBLIC_URL", "https://tasks.example.com/?a=b"],
    ["RESET_URL", "javascript:alert(1)"],
    ["VERIFY_URL", "https://app.example.com/#verify"],
    ["SMTP_URL", "mail.example.com:25"],
    ["MAIL_FROM", "Taskmesh"],
    ["MAIL_FROM", "a@example.com, b@example.com"],
    ["MAIL_FROM", "Taskmesh\r\nBcc: x <a@example.com>"],
    ["REQUIRE_VERIFIED_EMAIL", "yes"],
    ["TRUST_PROXY", "true"],
    ["TRUST_PROXY", "-1"],
    ["EXTRA_ROUTES", "focus/routes.ts,"],
    ["EXTRA_ROUTES", " , "],
    ["CONTENT_SERVICES", "tasks,focus,"],
    ["CONTENT_SERVICES", "tasks,,focus"],
    ["CONTENT_SERVICES", ","],
    ["CONTENT_SERVICES", " "],
    ["CONTENT_SERVICES", "tasks focus"],
    ["CONTENT_SERVICES", "Tasks"],
    ["CONTENT_SERVICES", "tasks.focus"],
    ["TRASH_RETENTION", "12h"],
    ["CHANGES_RETENTION", "0d"],
    ["AUDIT_RETENTION", "0d"],
    ["RATE_LIMIT", "yes"],
    ["LOG_LEVEL", "verbose"],
    ["LOG_FORMAT", "xml"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318"],
    ["OTEL_EXPORTER_OTLP_ENDPOINT", "grpc://collector:4317"],
    ["OTEL_TRACES_SAMPLER_ARG", "10%"],
    ["OTEL_TRACES_SAMPLER_ARG", "1.5"],
    ["DRAIN_DELAY", "2m"],
  ])("line 30: refuse %s=%s, by name", (name, value) => {
    expect(violationsOf({ [name]: value })).toEqual(
      expect.arrayContaining([expect.stringMatching(new RegExp(`^${name} must|^${name} looks`))]),
    );
  });

  it("say what is wrong with DATABASE_URL of it alone, and of a URL of a service's own too", () => {
    const wrong = { DATABASE_URL: "mysql://db/x" };
    const reason = "must be a URL that starts with postgres:// or postgresql://";
    expect(violationsOf(wrong)).toEqual([`DATABASE_URL ${reason}`]);
    expect(violationsOf({ ...wrong, TASKS_DATABASE_URL: "db" })).toEqual([
      `DATABASE_URL ${reason}`,
      `TASKS_DATABASE_URL ${reason}`,
    ]);
    const required = parseEnv(wrong, "AUTH_DATABASE_URL", "TASKS_DATABASE_URL");
    expect(required.violations).toEqual([`DATABASE_URL ${reason}`]);
  });

  it.each([
    "amqp://localhost",
    "amqp://guest:guest@127.0.0.1:5672",
    "amqps://guest:guest@[::1]/",
    "amqp://taskmesh:0f1e2d3c4b5a69788796a5b4c3d2e1f0@rabbit:5672",
    "amqp://localhost:5672;amqp://localhost:5673;amqps://localhost:5674/",
  ])("line 30: let guest and short passwords to a RabbitMQ on this machine only: %s", (url) => {
    expect(violationsOf({ AMQP_URL: url })).toEqual([]);
  });

  it("know whose RabbitMQ user it is when each service has one", () => {
    const bus = { BUS_USERS: "per-service", MESH_NAMESPACE: "my-mesh" };
    const whose = (user: string) =>
      busService(settings({ ...bus, AMQP_URL: `amqp://my-mesh-${user}:x@localhost` }));
    expect(["auth", "my-service"].map(whose)).toEqual(["auth", "my-service"]);
    expect(busService(settings({ AMQP_URL: "amqp://taskmesh-auth:x@localhost" }))).toBeNull();
    const cluster = ["auth", "auth"].map(
      (user, index) => `amqp://my-mesh-${user}:x@localhost:${5672 + index}`,
    );
    expect(busService(settings({ ...bus, AMQP_URL: cluster.join(";") }))).toBe("auth");
    expect(violationsOf({ ...bus, AMQP_URL: `${cluster[0]};amqp://my-mesh-tasks:x@localhost` })).toEqual([
      expect.stringMatching(/^BUS_USERS must be shared, or AMQP_URL/),
    ]);
    for (const user of ["guest", "my-mesh", "my-mesh-", "my-mesh-Auth", "my-mesh-a@b", "other-auth"]) {
      expect(violationsOf({ ...bus, AMQP_URL: `amqp://${encodeURIComponent(user)}:x@localhost` })).toEqual([
        expect.stringMatching(/^BUS_USERS must be shared, or AMQP_URL/),
      ]);
    }
  });

  it("name every violation at once", () => {
    const bad = {
      PORT: "0",
      OPS_PORT: "0",
      AUTH_DATABASE_URL: "x",
      TASKS_DATABASE_URL: "x",
      AMQP_URL: "x",
      MESH_NAMESPACE: "X",
      AUTH_SECRET: "x",
      ACCESS_TOKEN_TTL: "x",
      REFRESH_TOKEN_TTL: "x",
      BCRYPT_COST: "x",
      CORS_ORIGINS: "x",
      PUBLIC_URL: "x",
      RESET_URL: "x",
      VERIFY_URL: "x",
      SMTP_URL: "x",
      MAIL_FROM: "x",
      REQUIRE_VERIFIED_EMAIL: "x",
      TRUST_PROXY: "x",
      TRASH_RETENTION: "x",
      CHANGES_RETENTION: "x",
      AUDIT_RETENTION: "x",
      RATE_LIMIT: "x",
      LOG_LEVEL: "x",
      LOG_FORMAT: "x",
      OTEL_EXPORTER_OTLP_ENDPOINT: "x",
      OTEL_TRACES_SAMPLER_ARG: "x",
      DRAIN_DELAY: "x",
    };
    expect(violationsOf(bad).map((violation) => violation.split(" ")[0])).toEqual(Object.keys(bad));
  });

  it("want to know who mails are from when there is a server to hand them to", () => {
    const SMTP_URL = "smtps://user:password@mail.example.com";
    expect(violationsOf({ SMTP_URL })).toEqual(["MAIL_FROM is required"]);
    expect(violationsOf({ SMTP_URL, MAIL_FROM: "no-reply@example.com" })).toEqual([]);
    expect(violationsOf({ SMTP_URL, MAIL_FROM: "Taskmesh <no-reply@example.com>" })).toEqual([]);
  });

  it("line 30: name what is required and missing, beside what is wrong", () => {
    expect(parseEnv({ PORT: "0" }, "AUTH_DATABASE_URL", "AUTH_SECRET").violations).toEqual([
      expect.stringMatching(/^PORT must/),
      "AUTH_DATABASE_URL is required",
      "AUTH_SECRET is required",
    ]);
    expect(
      parseEnv({ DATABASE_URL: "postgres://db/x", AUTH_SECRET: SECRET }, "AUTH_DATABASE_URL").violations,
    ).toEqual([]);
  });

  it("line 7: never repeat a value: it may be a password", () => {
    const values = fc.stringMatching(/^hunter2[ -~]{0,60}$/);
    fc.assert(
      fc.property(fc.dictionary(fc.constantFrom(...settingNames), values, { minKeys: 1 }), (source) => {
        expect(violationsOf(source).join("\n")).not.toContain("hunter2");
      }),
    );
  });
});

describe(".env.example", () => {
  const lines = readFileSync(join(import.meta.dirname, "..", ".env.example"), "utf8")
    .trimEnd()
    .split("\n");
  const entries = lines.flatMap((line, index): [string, string, string][] => {
    const [, name, value = ""] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
    return name === undefined ? [] : [[name, value, lines[index - 1] ?? ""]];
  });

  it("lists exactly the settings, in their order", () => {
    expect(entries.map(([name]) => name)).toEqual(settingNames);
  });

  it("says of each in one line what it is", () => {
    for (const [name, , comment] of entries)
      expect([name, comment]).toEqual([name, expect.stringMatching(/^# \S/)]);
    expect(lines.filter((line) => line.startsWith("#"))).toHaveLength(settingNames.length);
  });

  it("changes nothing when it is used as it is", () => {
    expect(settings(Object.fromEntries(entries))).toEqual(settings({}));
  });

  it("is read by a shell as the README has it, with a value in the quotes that its line shows", () => {
    const root = join(import.meta.dirname, "..");
    const [read = ""] = /^set -a; .*set \+a/m.exec(readFileSync(join(root, "README.md"), "utf8")) ?? [];
    const [, , comment = ""] = entries.find(([name]) => name === "MAIL_FROM") ?? [];
    const [sender] = /'.*'/.exec(comment) ?? [];
    const folder = mkdtempSync(join(tmpdir(), "taskmesh-env-"));
    const filled = lines.map((line) => (line === "MAIL_FROM=" ? `MAIL_FROM=${sender}` : line));
    writeFileSync(join(folder, ".env"), filled.join("\n"));
    const print = `"${process.execPath}" -p "JSON.stringify(process.env)"`;
    const shell = ["-euc", `${read}; ${print}`];
    const output = execFileSync("sh", shell, { cwd: folder, env: {}, encoding: "utf8" });
    rmSync(folder, { recursive: true });

    const MAIL_FROM = "Taskmesh <no-reply@example.com>";
    expect(settings(JSON.parse(output))).toEqual({ ...settings({}), MAIL_FROM });
  });

  it("shows the value of everything that has a default", () => {
    const shown = entries.filter(([, value]) => value !== "").map(([name]) => name);
    const defaults = Object.entries(settings({})).filter(([, value]) => String(value) !== "");
    expect(new Set(shown)).toEqual(new Set(defaults.map(([name]) => name)));
  });
});
