import Joi from "joi";
import {
  amqpUrl,
  base,
  busUsers,
  duration,
  modules,
  origins,
  port,
  secret,
  sender,
  services,
  url,
} from "./rules.ts";

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
  /** RabbitMQ; several brokers of a cluster with `;` between. Without it all services run in one process. */
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
  /** Modules whose `routes` the gateway serves, and whose `contracts` it shows, for services that joined later. */
  EXTRA_ROUTES: string[];
  /** Services that hold content of users and erase it (`<service>.eraseAll`) when an account is deleted. */
  CONTENT_SERVICES: string[];
  /** How long deleted tasks stay in the trash. */
  TRASH_RETENTION: number;
  /** How long the log keeps changes that were followed by newer ones: the age of versions and of clients' copies. */
  CHANGES_RETENTION: number;
  /** How long the audit log keeps an event. */
  AUDIT_RETENTION: number;
  /** `off` switches every limit and throttle off: for tests and benchmarks. */
  RATE_LIMIT: "on" | "off";
  LOG_LEVEL: "fatal" | "error" | "warn" | "info" | "debug" | "trace";
  /** `json`: a line of JSON each; `text`: for people. By default text on a terminal, JSON everywhere else. */
  LOG_FORMAT?: "json" | "text";
  /** Collector that traces are sent to by OTLP over HTTP. Without it none are made. */
  OTEL_EXPORTER_OTLP_ENDPOINT?: string;
  /** Of the traces that begin here, the share that is recorded: OpenTelemetry's `parentbased_traceidratio`. */
  OTEL_TRACES_SAMPLER_ARG: number;
  /** How long a stopping process of a mesh goes on serving after it said that it is not ready. */
  DRAIN_DELAY: number;
}

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
  EXTRA_ROUTES: modules.default([]),
  CONTENT_SERVICES: services.default(["tasks"]),
  TRASH_RETENTION: duration("1d", "3650d").default(30 * 86_400),
  CHANGES_RETENTION: duration("1d", "3650d").default(365 * 86_400),
  AUDIT_RETENTION: duration("1d", "3650d").default(365 * 86_400),
  RATE_LIMIT: Joi.string().valid("on", "off").default("on"),
  LOG_LEVEL: Joi.string().valid("fatal", "error", "warn", "info", "debug", "trace").default("info"),
  LOG_FORMAT: Joi.string().valid("json", "text"),
  OTEL_EXPORTER_OTLP_ENDPOINT: base,
  OTEL_TRACES_SAMPLER_ARG: Joi.number().min(0).max(1).default(1),
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
  // What is wrong with DATABASE_URL is said of it, and not again of those that it stands in for.
  const own = (error?.details ?? []).filter(
    ({ path: [name = ""] }) => source[name] || !fallback(source, String(name)),
  );
  const bad = own.map(({ path, message, context }) => {
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
