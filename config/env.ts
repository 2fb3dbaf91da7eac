import Joi from "joi";

/** Every setting, parsed. Durations are seconds. `undefined` where the variable is not set and has no default. */
export interface Env {
  /** Address the HTTP and ops servers listen on. */
  HOST: string;
  /** Port of the gateway. */
  PORT: number;
  /** Port of the health server that every process opens before anything else. */
  OPS_PORT: number;
  /** PostgreSQL for both services; the two below take precedence. */
  DATABASE_URL?: string;
  /** PostgreSQL of the auth service. */
  AUTH_DATABASE_URL?: string;
  /** PostgreSQL of the tasks service. */
  TASKS_DATABASE_URL?: string;
  /** RabbitMQ. Without it all services run in one process on an in-process bus. */
  AMQP_URL?: string;
  /** `per-service`: each has a RabbitMQ user `<MESH_NAMESPACE>-<service>`, and no node may speak for another's. */
  BUS_USERS: "shared" | "per-service";
  /** Keeps several meshes on one RabbitMQ apart; also the issuer of tokens. */
  MESH_NAMESPACE: string;
  /** Folder of the embedded PostgreSQL and of the generated secret. */
  DATA_DIR: string;
  /** Encrypts signing keys and derives refresh tokens; the same for every auth replica. */
  AUTH_SECRET?: string;
  /** Life of an access token: 7 to 15 minutes. */
  ACCESS_TOKEN_TTL: number;
  /** How long a session lives without being used. */
  REFRESH_TOKEN_TTL: number;
  /** log2 of bcrypt rounds. */
  BCRYPT_COST: number;
  /** Origins of browser applications that may call the API. */
  CORS_ORIGINS: string[];
  /** Where people reach the gateway: what links in mails begin with. http://localhost:PORT when it is not set. */
  PUBLIC_URL?: string;
  /** Page that a mailed link to a new password leads to, instead of the gateway's own. */
  RESET_URL?: string;
  /** Page that a mailed link to verify an address leads to, instead of the gateway's own. */
  VERIFY_URL?: string;
  /** Server that mails are handed to. Without it their links are shown in the log. */
  SMTP_URL?: string;
  /** Sender of mails: an address, or a name and an address. Required with SMTP_URL. */
  MAIL_FROM?: string;
  /** Whether signing in needs a verified e-mail address. */
  REQUIRE_VERIFIED_EMAIL: "on" | "off";
  /** Number of reverse proxies in front of the gateway whose X-Forwarded-For is believed. */
  TRUST_PROXY: number;
  /** Modules whose `routes` the gateway serves besides its own table, for services that joined later. */
  EXTRA_ROUTES: string[];
  /** Services that hold content of users and erase it (`<service>.eraseAll`) when an account is deleted. */
  CONTENT_SERVICES: string[];
  /** How long deleted tasks stay in the trash. */
  TRASH_RETENTION: number;
  /** How long the log keeps changes that were followed by newer ones: the age of versions and of clients' copies. */
  CHANGES_RETENTION: number;
  /** `off` switches every limit and throttle off: for tests and benchmarks. */
  RATE_LIMIT: "on" | "off";
  LOG_LEVEL: "fatal" | "error" | "warn" | "info" | "debug" | "trace";
  /** `json`: a line of JSON each; `text`: for people. By default text on a terminal, JSON everywhere else. */
  LOG_FORMAT?: "json" | "text";
  /** Collector that traces are sent to by OTLP over HTTP. Without it none are made. */
  OTEL_EXPORTER_OTLP_ENDPOINT?: string;
  /** How long a stopping process of a mesh goes on serving after it said that it is not ready. */
  DRAIN_DELAY: number;
}

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

const duration = (min: string, max: string): Joi.AnySchema =>
  Joi.string().custom((value: string) => {
    const [seconds, least, most] = [toSeconds(value), toSeconds(min), toSeconds(max)];
    if (Number.isNaN(seconds)) throw new Error("must be a number and a unit, like 30s, 10m, 12h or 7d");
    if (seconds < least || seconds > most) throw new Error(`must be between ${min} and ${max}`);
    return seconds;
  });

function toSeconds(text: string): number {
  const [, amount, unit = ""] = /^(\d{1,9})([smhd])$/.exec(text) ?? [];
  return Number(amount) * (UNIT_SECONDS[unit] ?? Number.NaN);
}

const port = Joi.number().integer().min(1).max(65_535);

const url = (...schemes: string[]) =>
  Joi.string().custom((value: string) => {
    if (!schemes.some((scheme) => value.startsWith(`${scheme}://`) && URL.canParse(value))) {
      throw new Error(`must be a URL that starts with ${schemes.join(":// or ")}://`);
    }
    return value;
  });

/** A URL to append a path or a fragment to. */
const base = url("http", "https").custom((value: string) => {
  if (/[?#]/.test(value)) throw new Error("must have neither query nor fragment");
  return value.replace(/\/+$/, "");
});

/** `no-reply@example.com` or `Taskmesh <no-reply@example.com>`. */
const sender = Joi.string().custom((value: string) => {
  const ADDRESS = "[^\\s<>@,;]+@[^\\s<>@,;]+";
  if (!new RegExp(`^(?:${ADDRESS}|[^<>@,;\\r\\n]+ <${ADDRESS}>)$`).test(value)) {
    throw new Error("must be an address, or a name and an address: Taskmesh <no-reply@example.com>");
  }
  return value;
});

const origins = Joi.string().custom((value: string) =>
  value.split(",").map((part) => {
    const origin = part.trim();
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new Error("must list exact origins such as https://app.example.com, separated by commas");
    }
    return origin;
  }),
);

/** Names or paths, separated by commas. */
const list = Joi.string().custom((value: string) => value.split(",").map((each) => each.trim()));

/**
 * What is wrong with a secret, or `null`. Sixteen random bytes have well over ten different characters in any
 * printable form; "changeme" forms don't.
 */
export function weakness(secret: string, leastLength: number): string | null {
  if (secret.length < leastLength) return `must have ${leastLength} characters or more: openssl rand -hex 32`;
  const placeholder = new Set(secret).size < 10 || /change.?me|secret|password|example/i.test(secret);
  return placeholder ? "looks like a placeholder: openssl rand -hex 32" : null;
}

const secret = Joi.string().custom((value: string) => {
  const reason = weakness(value, 32);
  if (reason !== null) throw new Error(reason);
  return value;
});

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** RabbitMQ itself lets `guest` in from its own machine only; images of it don't hold to that. */
const amqpUrl = url("amqp", "amqps").custom((value: string) => {
  for (const server of value.split(";").filter(Boolean)) {
    const parsed = URL.parse(server);
    if (parsed === null) continue; // which is said already
    const { hostname, username, password } = parsed;
    if (LOOPBACK.test(hostname)) continue;
    if (username === "" || username === "guest") {
      throw new Error("must name a user of its own, not guest, unless RabbitMQ is on this machine");
    }
    const reason = weakness(decodeURIComponent(password), 16);
    if (reason !== null) throw new Error(`must not go elsewhere with this password: it ${reason}`);
  }
  return value;
});

const busUsers = Joi.string()
  .default("shared")
  .custom((value: string, { state }) => {
    const { AMQP_URL, MESH_NAMESPACE = "taskmesh" } = state.ancestors[0];
    if (value !== "shared" && value !== "per-service") throw new Error("must be shared or per-service");
    if (value === "shared" || !AMQP_URL || !URL.canParse(AMQP_URL)) return value;
    if (busService({ BUS_USERS: value, AMQP_URL, MESH_NAMESPACE }) === null) {
      throw new Error("must be shared, or AMQP_URL have the user <MESH_NAMESPACE>-<service>");
    }
    return value;
  });

/** The service whose RabbitMQ user AMQP_URL has: `auth` of `taskmesh-auth`; null when the users are shared. */
export function busService(env: Pick<Env, "BUS_USERS" | "MESH_NAMESPACE" | "AMQP_URL">): string | null {
  if (env.BUS_USERS === "shared" || env.AMQP_URL === undefined) return null;
  const { username } = new URL(env.AMQP_URL.split(";")[0] ?? "");
  const prefix = `${env.MESH_NAMESPACE}-`;
  return username.startsWith(prefix) && SERVICE_NAME.test(username.slice(prefix.length))
    ? username.slice(prefix.length)
    : null;
}

/** Letters, digits and hyphens: what a service with a RabbitMQ user of its own may be called. */
export const SERVICE_NAME = /^[a-z][a-z0-9-]{0,62}$/;

const schema = Joi.object<Env>({
  HOST: Joi.string().default("0.0.0.0"),
  PORT: port.default(3000),
  OPS_PORT: port.default(3001),
  DATABASE_URL: url("postgres", "postgresql"),
  AUTH_DATABASE_URL: url("postgres", "postgresql"),
  TASKS_DATABASE_URL: url("postgres", "postgresql"),
  AMQP_URL: amqpUrl,
  BUS_USERS: busUsers,
  MESH_NAMESPACE: Joi.string()
    .pattern(/^[a-z0-9][a-z0-9_-]{0,62}$/)
    .message("must be 1 to 63 of a-z, 0-9, _ and -, and start with a letter or digit")
    .default("taskmesh"),
  DATA_DIR: Joi.string().default(".data"),
  AUTH_SECRET: secret,
  ACCESS_TOKEN_TTL: duration("7m", "15m").default(600),
  REFRESH_TOKEN_TTL: duration("1m", "30d").default(7 * 86_400),
  BCRYPT_COST: Joi.number().integer().min(4).max(16).default(12),
  CORS_ORIGINS: origins.default([]),
  PUBLIC_URL: base,
  RESET_URL: base,
  VERIFY_URL: base,
  SMTP_URL: url("smtp", "smtps"),
  // biome-ignore lint/suspicious/noThenProperty: Joi's word
  MAIL_FROM: sender.when("SMTP_URL", { is: Joi.exist(), then: Joi.required() }),
  REQUIRE_VERIFIED_EMAIL: Joi.string().valid("on", "off").default("off"),
  TRUST_PROXY: Joi.number().integer().min(0).max(10).default(0),
  EXTRA_ROUTES: list.default([]),
  CONTENT_SERVICES: list.default(["tasks"]),
  TRASH_RETENTION: duration("1d", "3650d").default(30 * 86_400),
  CHANGES_RETENTION: duration("1d", "3650d").default(365 * 86_400),
  RATE_LIMIT: Joi.string().valid("on", "off").default("on"),
  LOG_LEVEL: Joi.string().valid("fatal", "error", "warn", "info", "debug", "trace").default("info"),
  LOG_FORMAT: Joi.string().valid("json", "text"),
  OTEL_EXPORTER_OTLP_ENDPOINT: base,
  DRAIN_DELAY: duration("0s", "60s").default(2),
});

/** Names of all settings, for the test that compares them with `.env.example` and the compose file. */
export const settingNames: string[] = Object.keys(schema.describe().keys);

type With<K extends keyof Env> = Env & { [P in K]-?: NonNullable<Env[P]> };

/**
 * Parses settings and reports every violation at once, without echoing a value.
 * An empty variable counts as not set, as in compose files.
 */
export function parseEnv<K extends keyof Env = never>(
  source: Record<string, string | undefined>,
  ...required: K[]
): { env: With<K>; violations: [] } | { violations: [string, ...string[]] } {
  const given = settingNames.flatMap((name): [string, string][] => {
    const value = source[name] || fallback(source, name);
    return value ? [[name, value]] : [];
  });
  const { value, error } = schema.validate(Object.fromEntries(given), { abortEarly: false });
  const bad = (error?.details ?? []).map(({ path, message, context }) => {
    const reason = context?.error instanceof Error ? context.error.message : message.replace(/^"[^"]*" /, "");
    return `${path.join(".")} ${reason}`;
  });
  const missing = required.filter((name) => !given.some(([given]) => given === name));
  const [first, ...rest] = [...bad, ...missing.map((name) => `${name} is required`)];
  if (first !== undefined) return { violations: [first, ...rest] };
  return { env: value, violations: [] };
}

/** Both services share DATABASE_URL unless each has its own. */
const fallback = (source: Record<string, string | undefined>, name: string): string | undefined =>
  name === "AUTH_DATABASE_URL" || name === "TASKS_DATABASE_URL" ? source.DATABASE_URL : undefined;

/** Reads the process's settings; names every violation and exits with 1 when there is one. */
export function loadEnv<K extends keyof Env = never>(...required: K[]): With<K> {
  const result = parseEnv(process.env, ...required);
  if ("env" in result) return result.env;
  console.error(
    `Taskmesh cannot start with these settings:\n${result.violations.map((v) => `  ${v}\n`).join("")}`,
  );
  return process.exit(1);
}
