import Joi from "joi";

/* What settings may look like. A rule that fails throws or says why without the value: it may be a password. */

const UNIT_SECONDS: Record<string, number> = { s: 1, m: 60, h: 3600, d: 86_400 };

export const duration = (min: string, max: string): Joi.AnySchema =>
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

export const port = Joi.number().integer().min(1).max(65_535);

export const url = (...schemes: string[]) =>
  Joi.string().custom((value: string) => {
    if (!schemes.some((scheme) => value.startsWith(`${scheme}://`) && URL.canParse(value))) {
      throw new Error(`must be a URL that starts with ${schemes.join(":// or ")}://`);
    }
    return value;
  });

/** A URL to append a path or a fragment to. */
export const base = url("http", "https").custom((value: string) => {
  if (/[?#]/.test(value)) throw new Error("must have neither query nor fragment");
  return value.replace(/\/+$/, "");
});

/** `no-reply@example.com` or `Taskmesh <no-reply@example.com>`. */
export const sender = Joi.string().custom((value: string) => {
  const ADDRESS = "[^\\s<>@,;]+@[^\\s<>@,;]+";
  if (!new RegExp(`^(?:${ADDRESS}|[^<>@,;\\r\\n]+ <${ADDRESS}>)$`).test(value)) {
    throw new Error("must be an address, or a name and an address: Taskmesh <no-reply@example.com>");
  }
  return value;
});

export const origins = Joi.string().custom((value: string) =>
  value.split(",").map((part) => {
    const origin = part.trim();
    if (!URL.canParse(origin) || new URL(origin).origin !== origin) {
      throw new Error("must list exact origins such as https://app.example.com, separated by commas");
    }
    return origin;
  }),
);

/** Separated by commas, each as `pattern` has it. */
const list = (pattern: RegExp, reason: string): Joi.StringSchema =>
  Joi.string().custom((value: string) => {
    const parts = value.split(",").map((each) => each.trim());
    if (!parts.every((part) => pattern.test(part))) throw new Error(reason);
    return parts;
  });

export const modules = list(/./, "must list files, separated by commas, with none left out");

/** As the bus knows them: `focus`, and of a second version `v2.focus`. */
export const services = list(
  /^(v\d+\.)?[a-z][a-z0-9-]*$/,
  "must list names of services, such as tasks,focus: lower-case letters, digits and hyphens, with none left out",
);

/**
 * What is wrong with a secret, or `null`. Sixteen random bytes have well over ten different characters in any
 * printable form; "changeme" forms don't.
 */
export function weakness(secret: string, leastLength: number): string | null {
  if (secret.length < leastLength) return `must have ${leastLength} characters or more: openssl rand -hex 32`;
  const placeholder = new Set(secret).size < 10 || /change.?me|secret|password|example/i.test(secret);
  return placeholder ? "looks like a placeholder: openssl rand -hex 32" : null;
}

export const secret = Joi.string().custom((value: string) => {
  const reason = weakness(value, 32);
  if (reason !== null) throw new Error(reason);
  return value;
});

const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;

/** The brokers of a cluster, in the order they are tried. */
const brokersOf = (amqpUrl: string): string[] => amqpUrl.split(";").filter(Boolean);

/** RabbitMQ itself lets `guest` in from its own machine only; images of it don't hold to that. */
export const amqpUrl = Joi.string().custom((value: string) => {
  const brokers = brokersOf(value).map((broker) => (/^amqps?:\/\//.test(broker) ? URL.parse(broker) : null));
  if (brokers.length === 0) throw new Error(NO_AMQP_URL);
  for (const broker of brokers) {
    if (broker === null) throw new Error(NO_AMQP_URL);
    const { hostname, username, password } = broker;
    if (!isDecodable(username) || !isDecodable(password)) {
      throw new Error("must have each % of a name or password as %25, and / as %2F, @ as %40, : as %3A");
    }
    if (LOOPBACK.test(hostname)) continue;
    if (username === "" || username === "guest") {
      throw new Error("must name a user of its own, not guest, unless RabbitMQ is on this machine");
    }
    const reason = weakness(decodeURIComponent(password), 16);
    if (reason !== null) throw new Error(`must not go elsewhere with this password: it ${reason}`);
  }
  return value;
});

function isDecodable(part: string): boolean {
  try {
    decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

const NO_AMQP_URL =
  "must be a URL that starts with amqp:// or amqps://, or several of a cluster with ; between";

export const busUsers = Joi.string()
  .default("shared")
  .custom((value: string, { state }) => {
    const { AMQP_URL, MESH_NAMESPACE = "taskmesh" } = state.ancestors[0];
    if (value !== "shared" && value !== "per-service") throw new Error("must be shared or per-service");
    if (value === "shared" || !AMQP_URL || !brokersOf(AMQP_URL).every((broker) => URL.canParse(broker)))
      return value;
    if (busService({ BUS_USERS: value, AMQP_URL, MESH_NAMESPACE }) === null) {
      throw new Error("must be shared, or AMQP_URL have the user <MESH_NAMESPACE>-<service>");
    }
    return value;
  });

interface BusSettings {
  BUS_USERS: "shared" | "per-service";
  MESH_NAMESPACE: string;
  AMQP_URL?: string;
}

/** The service whose RabbitMQ user AMQP_URL has, on every broker: `auth` of `taskmesh-auth`; null when it is shared. */
export function busService(env: BusSettings): string | null {
  if (env.BUS_USERS === "shared" || env.AMQP_URL === undefined) return null;
  const [username = "", ...others] = new Set(
    brokersOf(env.AMQP_URL).map((broker) => new URL(broker).username),
  );
  if (others.length > 0) return null;
  const prefix = `${env.MESH_NAMESPACE}-`;
  return username.startsWith(prefix) && SERVICE_NAME.test(username.slice(prefix.length))
    ? username.slice(prefix.length)
    : null;
}

/** Letters, digits and hyphens: what a service with a RabbitMQ user of its own may be called. */
export const SERVICE_NAME = /^[a-z][a-z0-9-]{0,62}$/;
