import pino, { type LoggerOptions } from "pino";
import pretty from "pino-pretty";
import { currentRequest } from "./request-context.ts";

/** Names of fields whose values no log may hold, in whatever spelling. `link` is not among them: docs/mail.md. */
const SECRET =
  /^(set-?)?cookie$|authorization|passw|secret|passport|token$|apikey|api-key|^hash$|^(parameters|bind)$/i;
/**
 * Access tokens, refresh tokens, API tokens and clients' secrets, wherever they stand. No part needs another after it: a search
 * that goes on to the end of a long line and fails, at each place where it may begin, would hold the process up.
 */
const TOKENS = /\beyJ[\w-]{10,}(?:\.[\w-]+)*|\btm[rpc]_[\w-]{10,}/g;
/** Passwords in URLs: of RabbitMQ, PostgreSQL and mail servers. */
const CREDENTIALS = /(:\/\/[^\s:/@"]*):[^\s@"/]+@/g;
const REDACTED = "[redacted]";
const MAX_DEPTH = 8;

/** The value without what is secret by the name of its field, at any depth. */
export function redacted(value: unknown, depth = 0): unknown {
  if (typeof value !== "object" || value === null || value instanceof Date) return value;
  if (depth === MAX_DEPTH) return REDACTED;
  if (Array.isArray(value)) return value.map((each) => redacted(each, depth + 1));
  const plain = value instanceof Error ? pino.stdSerializers.err(value) : value;
  return Object.fromEntries(
    Object.entries(plain).map(([name, each]) => {
      if (SECRET.test(name) && each !== null) return [name, REDACTED];
      // A statement that Sequelize made has its values within.
      if (name === "sql" && typeof each === "string") return [name, each.replace(/'(?:[^']|'')*'/g, "'…'")];
      return [name, redacted(each, depth + 1)];
    }),
  );
}

/** A finished line without tokens and passwords that stand in texts: in a message, a URL, an error of a library. */
const withoutSecrets = (line: string): string =>
  line.replace(TOKENS, REDACTED).replace(CREDENTIALS, `$1:${REDACTED}@`);

/** The fields that make a line findable: which request and which trace it belongs to. */
function requestFields(): Record<string, string> {
  const request = currentRequest();
  if (request === undefined) return {};
  const { requestId, trace } = request;
  return { requestId, ...(trace ? { traceId: trace.traceId } : {}) };
}

/** pino's options for every line of every process. */
export const pinoOptions: LoggerOptions = {
  base: null,
  mixin: requestFields,
  formatters: { log: (line) => Object.fromEntries(Object.entries(redacted(line) ?? {})) },
  // Errors are plain by now.
  serializers: { err: (error: unknown) => error },
  hooks: { streamWrite: withoutSecrets },
};

/** Where lines go: to stdout as JSON, or in colours for people. */
export const destination = (format: "json" | "text") =>
  format === "json"
    ? pino.destination({ sync: true })
    : pretty({
        sync: true,
        translateTime: "SYS:HH:MM:ss.l",
        singleLine: true,
        ignore: "nodeID,ns,mod,svc",
        messageFormat: "{mod}: {msg}",
      });
