import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { parse } from "yaml";
import { parseEnv, settingNames } from "../config/env.ts";
import { busService } from "../config/rules.ts";
import { ownPostgres } from "../scripts/services/postgres.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import { openFirst, type TestServer } from "../scripts/services/source.ts";
import { makeDatabases, type TaskmeshDatabase } from "./support/compose-databases.ts";
import { query } from "./support/database.ts";

interface Container {
  image: string;
  build?: string;
  user?: string;
  restart: string;
  read_only?: boolean;
  cap_drop?: string[];
  security_opt?: string[];
  healthcheck: { test?: string[]; disable?: boolean };
  environment: Record<string, string>;
  networks: string[];
  ports?: { host_ip: string }[];
  profiles?: string[];
  volumes?: string[];
}

const text = readFileSync("docker-compose.yml", "utf8");
const containers: Record<string, Container> = parse(text, { merge: true }).services;
const dockerfile = readFileSync("Dockerfile", "utf8");
const example = readFileSync("deploy/compose/.env.example", "utf8");

const busPasswords = ["RABBITMQ_API_PASSWORD", "RABBITMQ_AUTH_PASSWORD", "RABBITMQ_TASKS_PASSWORD"];

const all = Object.entries(containers);
/** What comes with `--profile observed`. */
const observed = all.filter(([, { profiles }]) => profiles !== undefined);
const longRunning = all.filter(([name]) => name !== "migrate" && name !== "bus-users");
const ours = all.filter(([, { build }]) => build !== undefined);

describe("the compose file", () => {
  test("publishes the API's port and no other, but for Grafana's to this machine where that is asked for", () => {
    expect(all.filter(([, { ports }]) => ports !== undefined).map(([name]) => name)).toEqual([
      "api",
      "grafana",
    ]);
    expect(containers.api?.ports).toHaveLength(1);
    expect(containers.grafana?.ports).toEqual([expect.objectContaining({ host_ip: "127.0.0.1" })]);
  });

  test("observes only where that is asked for, with what deploy/observability has, and sees no bus and no database", () => {
    expect(observed.map(([name]) => name)).toEqual(["prometheus", "grafana", "otel-collector"]);
    for (const [, { profiles, networks, image, volumes = [] }] of observed) {
      expect(profiles).toEqual(["observed"]);
      expect(networks.filter((network) => network !== "ops" && network !== "edge")).toEqual([]);
      expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
      for (const volume of volumes)
        expect(volume).toMatch(/^(\.\/deploy\/observability\/[^:]+:.*:ro|[a-z]+-data:.*)$/);
    }
  });

  test.each(longRunning)("starts %s again when it dies, and knows whether it works", (name, container) => {
    expect(container.restart).toBe("unless-stopped");
    // An image without any program but its own.
    if (name === "otel-collector") return;
    expect(container.healthcheck.disable).toBeUndefined();
    if (container.build === undefined) expect(container.healthcheck.test).toBeDefined();
    else expect(dockerfile).toMatch(/^HEALTHCHECK .*\n.*health\/ready/m);
  });

  test.each(all)(
    "takes from %s what it can do without: root, capabilities, a writable disk",
    (_name, container) => {
      expect(container).toMatchObject({
        read_only: true,
        cap_drop: ["ALL"],
        security_opt: ["no-new-privileges:true"],
      });
      if (container.build === undefined)
        expect(container.user).toMatch(/^(rabbitmq|postgres|nobody|grafana|10001)$/);
      else expect(dockerfile).toMatch(/^USER node$/m);
    },
  );

  test("gives each service the settings it needs and no other's secrets", () => {
    const given = Object.fromEntries(
      ours.map(([name, { environment }]) => [name, Object.keys(environment).sort()]),
    );
    expect(given).toEqual({
      migrate: ["AUTH_DATABASE_URL", "TASKS_DATABASE_URL"],
      "bus-users": busPasswords,
      auth: [
        "ACCESS_TOKEN_TTL",
        "AMQP_URL",
        "AUDIT_RETENTION",
        "AUTH_DATABASE_URL",
        "AUTH_SECRET",
        "BCRYPT_COST",
        "BUS_USERS",
        "CONTENT_SERVICES",
        "DRAIN_DELAY",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "MAIL_FROM",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER_ARG",
        "PUBLIC_URL",
        "REFRESH_TOKEN_TTL",
        "REQUIRE_VERIFIED_EMAIL",
        "RESET_URL",
        "SMTP_URL",
        "VERIFY_URL",
      ],
      tasks: [
        "AMQP_URL",
        "BUS_USERS",
        "CHANGES_RETENTION",
        "DRAIN_DELAY",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER_ARG",
        "TASKS_DATABASE_URL",
        "TRASH_RETENTION",
      ],
      api: [
        "AMQP_URL",
        "BUS_USERS",
        "CORS_ORIGINS",
        "DRAIN_DELAY",
        "EXTRA_ROUTES",
        "LOG_FORMAT",
        "LOG_LEVEL",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_TRACES_SAMPLER_ARG",
        "PORT",
        "TRUST_PROXY",
      ],
    });
    const { "bus-users": _ofAScript, ...ofServices } = given;
    for (const name of Object.values(ofServices).flat()) expect(settingNames).toContain(name);
  });

  test("passes every setting to whom it is for, but for those that make no sense here", () => {
    const without = [
      "HOST", // inside a container, all addresses
      "OPS_PORT", // what the health checks and Prometheus ask
      "DATABASE_URL", // each service has a URL of its own
      "MESH_NAMESPACE", // RabbitMQ's users are named by it
      "DATA_DIR", // of npm start alone
      "RATE_LIMIT", // for tests and benchmarks
    ];
    const passed = ours.flatMap(([, { environment }]) => Object.keys(environment));
    expect(settingNames.filter((name) => !passed.includes(name))).toEqual(without);
  });

  test("line 30: has a RabbitMQ user for each service, whose name its nodes have, and no other", () => {
    const users = ["auth", "tasks", "api"].map((service) => {
      const { AMQP_URL = "", ...settings } = containers[service]?.environment ?? {};
      expect(AMQP_URL).toBe(
        `amqp://taskmesh-${service}:\${RABBITMQ_${service.toUpperCase()}_PASSWORD}@rabbitmq:5672`,
      );
      const { env } = Object.assign(
        { env: null },
        parseEnv({ AMQP_URL: fillIn(AMQP_URL), BUS_USERS: settings.BUS_USERS }),
      );
      expect(env && busService(env)).toBe(service);
      return service;
    });
    expect(parse(text, { merge: true }).services["bus-users"].command).toEqual(users);
    expect(containers.rabbitmq?.environment).toEqual({ RABBITMQ_CONFIG_FILE: "/bus/rabbitmq.conf" });
  });

  test("line 30: makes RabbitMQ's users of what is in .env, and none of a short, missing or default password", async () => {
    const { PATH, NODE_COMPILE_CACHE } = process.env;
    const run = (passwords: Record<string, string>) =>
      promisify(execFile)(process.execPath, ["scripts/rabbitmq.ts", "auth", "tasks", "api"], {
        env: { PATH, NODE_COMPILE_CACHE, ...passwords },
      });
    const password = randomBytes(16).toString("hex");
    const good = Object.fromEntries(busPasswords.map((name) => [name, password]));
    const { stdout } = await run(good);
    expect(stdout).not.toContain(password);
    expect(JSON.parse(stdout).users.map(({ name }: { name: string }) => name)).toEqual([
      "taskmesh-auth",
      "taskmesh-tasks",
      "taskmesh-api",
    ]);
    for (const bad of ["", "short", "change-me-change-me-please", "aaaaaaaaaaaaaaaaaaaaaaaa"]) {
      await expect(run({ ...good, RABBITMQ_TASKS_PASSWORD: bad })).rejects.toMatchObject({
        code: 1,
        stdout: "",
        stderr: expect.stringMatching(/RABBITMQ_TASKS_PASSWORD (must have|looks like)/),
      });
    }
  });

  test.each(ours)("gives %s settings that it accepts", (_name, { environment }) => {
    const settings = Object.entries(environment).map(([name, value]) => [name, fillIn(String(value))]);
    expect(parseEnv(Object.fromEntries(settings)).violations).toEqual([]);
  });

  test("keeps the API away from the databases, and the bus and the databases away from the world", () => {
    expect(containers.api?.networks).not.toContain("database");
    expect(containers.postgres?.networks).toEqual(["database"]);
    expect(containers.rabbitmq?.networks).toEqual(["bus"]);
    const internal = { internal: true };
    expect(parse(text).networks).toMatchObject({ bus: internal, database: internal, ops: internal });
  });

  test("has a way out for what is sent elsewhere: mails, and traces from the collector", () => {
    const internal = ["bus", "database", "ops"];
    for (const name of ["auth", "otel-collector"])
      expect(containers[name]?.networks.filter((network) => !internal.includes(network))).toHaveLength(1);
  });

  test("starts with no secret left out and none by default, each of them in the example", () => {
    const secrets = new Set([...text.matchAll(/\$\{(\w*(?:SECRET|PASSWORD))\b/g)].map(([, name]) => name));
    expect([...secrets].sort()).toEqual([
      "AUTH_DATABASE_PASSWORD",
      "AUTH_SECRET",
      "GRAFANA_PASSWORD",
      "POSTGRES_PASSWORD",
      ...busPasswords,
      "TASKS_DATABASE_PASSWORD",
    ]);
    for (const name of secrets) {
      expect(text).toContain(`\${${name}:?`);
      expect(text).not.toContain(`\${${name}:-`);
    }
    for (const [, name] of text.matchAll(/\$\{(\w+)/g)) expect(example).toMatch(new RegExp(`^${name}=`, "m"));
    expect(text).not.toMatch(/guest/);
  });
});

/** As compose does, with a good value for every secret. */
const fillIn = (value: string): string =>
  value.replace(/\$\{\w+(?::([-?])([^}]*))?\}/g, (_all, kind, fallback) =>
    kind === "-" ? fallback : "1f9c63a8b2d04e57a6c1f0938d7be245",
  );

describe("the databases of the compose file", () => {
  const directory = makeScratchFolder("compose");
  let server: TestServer;
  let database: TaskmeshDatabase;

  beforeAll(async () => {
    const options = {
      url: undefined,
      run: "0",
      directory,
      log: () => {},
      signal: new AbortController().signal,
    };
    server = await openFirst("PostgreSQL", ownPostgres(options), "", options);
    database = await makeDatabases(server.url);
    const env = { ...process.env, AUTH_DATABASE_URL: database.auth, TASKS_DATABASE_URL: database.tasks };
    await promisify(execFile)(process.execPath, ["scripts/migrate.ts", "up"], { env });
  }, 300_000);

  afterAll(async () => {
    await server.release();
    await rm(directory, { recursive: true, force: true });
  });

  test.each([
    { schema: "auth", other: "tasks", table: "users" },
    { schema: "tasks", other: "auth", table: "tasks" },
  ] as const)("let the role of $schema migrate and use its schema, and see no other", async (each) => {
    const { schema, other, table } = each;
    const url = database[schema];
    expect(await query(url, `SELECT count(*) FROM ${schema}.${table}`)).toHaveLength(1);
    const foreign = query(url, `SELECT count(*) FROM ${other}.migrations`);
    await expect(foreign).rejects.toThrow(`permission denied for schema ${other}`);
    await expect(query(url, "CREATE SCHEMA more")).rejects.toThrow("permission denied for database");
    await expect(query(url, "CREATE TABLE public.more ()")).rejects.toThrow("permission denied for schema");
  });
});
