import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { promisify } from "node:util";
import { parse } from "yaml";
import { parseEnv, settingNames } from "../config/env.ts";
import { ownPostgres } from "../scripts/services/postgres.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";
import { openFirst, type TestServer } from "../scripts/services/source.ts";
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
  ports?: unknown[];
}

const text = readFileSync("docker-compose.yml", "utf8");
const containers: Record<string, Container> = parse(text, { merge: true }).services;
const dockerfile = readFileSync("Dockerfile", "utf8");
const example = readFileSync("deploy/compose/.env.example", "utf8");

const all = Object.entries(containers);
const longRunning = all.filter(([name]) => name !== "migrate");
const ours = all.filter(([, { build }]) => build !== undefined);

describe("the compose file", () => {
  test("publishes the API's port and no other", () => {
    expect(all.filter(([, { ports }]) => ports !== undefined).map(([name]) => name)).toEqual(["api"]);
    expect(containers.api?.ports).toHaveLength(1);
  });

  test.each(longRunning)("starts %s again when it dies, and knows whether it works", (_name, container) => {
    expect(container.restart).toBe("unless-stopped");
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
      if (container.build === undefined) expect(container.user).toMatch(/^(rabbitmq|postgres)$/);
      else expect(dockerfile).toMatch(/^USER node$/m);
    },
  );

  test("gives each service the settings it needs and no other's secrets", () => {
    const given = Object.fromEntries(
      ours.map(([name, { environment }]) => [name, Object.keys(environment).sort()]),
    );
    expect(given).toEqual({
      migrate: ["AUTH_DATABASE_URL", "TASKS_DATABASE_URL"],
      auth: ["AMQP_URL", "AUTH_DATABASE_URL", "AUTH_SECRET"],
      tasks: ["AMQP_URL", "TASKS_DATABASE_URL"],
      api: ["AMQP_URL", "CORS_ORIGINS", "PORT", "TRUST_PROXY"],
    });
    for (const name of Object.values(given).flat()) expect(settingNames).toContain(name);
  });

  test.each(ours)("gives %s settings that it accepts", (_name, { environment }) => {
    const settings = Object.entries(environment).map(([name, value]) => [name, fillIn(String(value))]);
    expect(parseEnv(Object.fromEntries(settings)).violations).toEqual([]);
  });

  test("keeps the API away from the databases, and the bus and the databases away from the world", () => {
    expect(containers.api?.networks).not.toContain("database");
    expect(containers.postgres?.networks).toEqual(["database"]);
    expect(containers.rabbitmq?.networks).toEqual(["bus"]);
    expect(parse(text).networks).toMatchObject({ bus: { internal: true }, database: { internal: true } });
  });

  test("starts with no secret left out and none by default, each of them in the example", () => {
    const secrets = new Set([...text.matchAll(/\$\{(\w*(?:SECRET|PASSWORD))\b/g)].map(([, name]) => name));
    expect([...secrets].sort()).toEqual([
      "AUTH_DATABASE_PASSWORD",
      "AUTH_SECRET",
      "POSTGRES_PASSWORD",
      "RABBITMQ_PASSWORD",
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
  const secret = "0123456789abcdef";
  let server: TestServer;
  const as = (role: string) => {
    const url = new URL(server.url);
    Object.assign(url, {
      pathname: "/taskmesh",
      ...(role === "" ? {} : { username: role, password: secret }),
    });
    return url.href;
  };

  beforeAll(async () => {
    const options = {
      url: undefined,
      run: "0",
      directory,
      log: () => {},
      signal: new AbortController().signal,
    };
    server = await openFirst("PostgreSQL", ownPostgres(options), "", options);
    await query(server.url, "CREATE DATABASE taskmesh");
    const script = readFileSync("deploy/compose/databases.sql", "utf8");
    await query(as(""), script.replace(/^\\getenv.*$/gm, "").replace(/:'\w+'/g, `'${secret}'`));
    const env = {
      ...process.env,
      AUTH_DATABASE_URL: as("taskmesh_auth"),
      TASKS_DATABASE_URL: as("taskmesh_tasks"),
    };
    await promisify(execFile)(process.execPath, ["scripts/migrate.ts", "up"], { env });
  }, 300_000);

  afterAll(async () => {
    await server.release();
    await rm(directory, { recursive: true, force: true });
  });

  test.each([
    { role: "taskmesh_auth", schema: "auth", other: "tasks", table: "users" },
    { role: "taskmesh_tasks", schema: "tasks", other: "auth", table: "tasks" },
  ])("let $role migrate and use its schema, and see no other", async ({ role, schema, other, table }) => {
    expect(await query(as(role), `SELECT count(*) FROM ${schema}.${table}`)).toHaveLength(1);
    const foreign = query(as(role), `SELECT count(*) FROM ${other}.migrations`);
    await expect(foreign).rejects.toThrow(`permission denied for schema ${other}`);
    await expect(query(as(role), "CREATE SCHEMA more")).rejects.toThrow("permission denied for database");
    await expect(query(as(role), "CREATE TABLE public.more ()")).rejects.toThrow(
      "permission denied for schema",
    );
  });
});
