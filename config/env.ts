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
  /** Number of reverse proxies in front of the gateway whose X-Forwarded-For is believed. */
  TRUST_PROXY: number;
  /** Modules whose `routes` the gateway serves besides its own table, for services that joined later. */
  EXTRA_ROUTES: string[];
  /** Services that hold content of users and erase it (`<service>.eraseAll`) when an account is deleted. */
  CONTENT_SERVICES: string[];
  /** `off` switches every limit and throttle off: for tests and benchmarks. */
  RATE_LIMIT: "on" | "off";
  LOG_LEVEL: "fatal" | "error" | "warn" | "info" | "debug" | "trace";
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

/** Sixteen random bytes have well over ten different characters in any printable form; "changeme" forms don't. */
const secret = Joi.string().custom((value: string) => {
  if (value.length < 32) throw new Error("must have at least 32 characters: openssl rand -base64 32");
  if (new Set(value).size < 10 || /change.?me|secret|password|example/i.test(value)) {
    throw new Error("looks like a placeholder: openssl rand -base64 32");
  }
  return value;
});

const schema = Joi.object<Env>({
  HOST: Joi.string().default("0.0.0.0"),
  PORT: port.default(3000),
  OPS_PORT: port.default(3001),
  DATABASE_URL: url("postgres", "postgresql"),
  AUTH_DATABASE_URL: url("postgres", "postgresql"),
  TASKS_DATABASE_URL: url("postgres", "postgresql"),
  AMQP_URL: url("amqp", "amqps"),
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
  TRUST_PROXY: Joi.number().integer().min(0).max(10).default(0),
  EXTRA_ROUTES: list.default([]),
  CONTENT_SERVICES: list.default(["tasks"]),
  RATE_LIMIT: Joi.string().valid("on", "off").default("on"),
  LOG_LEVEL: Joi.string().valid("fatal", "error", "warn", "info", "debug", "trace").default("info"),
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
