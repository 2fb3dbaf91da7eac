import type { IncomingMessage, ServerResponse } from "node:http";
import bodyParser from "body-parser";
import { problem, type Violation, validationFailed } from "../../lib/errors.ts";
import { PROTO, parseObject, unknown } from "./json-object.ts";
import type { Route } from "./routes.ts";

/** Bytes. */
const MAX_BODY = 2 ** 20;
const JSON_TYPE = "application/json";
const MERGE_PATCH_TYPE = "application/merge-patch+json";

/** Params that conditional routes take from headers. */
const FROM_HEADERS = ["ifMatch", "ifNoneMatch"];
export const isFromHeader = (route: Pick<Route, "conditional">, name: string): boolean =>
  route.conditional === true && FROM_HEADERS.includes(name);

const rawBody = bodyParser.raw({ limit: MAX_BODY, type: () => true });

/** Media types that a route takes; also what `Accept-Post` and `Accept-Patch` say. */
export const acceptedTypes = (method: string): string[] =>
  method === "PATCH" ? [MERGE_PATCH_TYPE, JSON_TYPE] : [JSON_TYPE];

/** Where the params of a route's action come from. */
interface Sources {
  /** Its query, if any, counts. */
  url: string;
  /** As `readBody` gives it. */
  body: Buffer;
  path: Record<string, string>;
}

/**
 * The params of a route's action: its path parameters, and the body or the query, each from its own place.
 *
 * @throws invalid_json, invalid_request, validation_failed
 */
export function readParams(
  route: Pick<Route, "input" | "bodyAs" | "conditional">,
  { url, body: bytes, path }: Sources,
): Record<string, unknown> {
  const query = readQuery(url);
  const body = bytes.length === 0 ? undefined : parseObject(bytes);

  const isFromElsewhere = (name: string): boolean => name in path || isFromHeader(route, name);
  const unexpected: Violation[] = [
    ...Object.keys(query)
      .filter((name) => route.input !== "query" || name === PROTO || Object.hasOwn(path, name))
      .map((name) => unknown(name, "query")),
    ...Object.keys(body ?? {})
      .filter((name) => route.input !== "body" || (!route.bodyAs && isFromElsewhere(name)))
      .map((name) => unknown(name, "body")),
  ];
  if (unexpected.length > 0) throw validationFailed(unexpected);

  if (route.input === "query") return { ...query, ...path };
  if (route.input === "none") return path;
  return route.bodyAs === undefined ? { ...body, ...path } : { ...path, [route.bodyAs]: body ?? {} };
}

/** @throws invalid_request when it can't be decoded or a parameter comes twice */
function readQuery(url: string): Record<string, string> {
  const start = url.indexOf("?");
  if (start < 0) return {};
  const raw = url.slice(start + 1);
  try {
    decodeURIComponent(raw.replaceAll("+", " "));
  } catch {
    throw problem("invalid_request", "The query string is not valid percent-encoded UTF-8.");
  }
  const query = new Map<string, string>();
  for (const [name, value] of new URLSearchParams(raw)) {
    if (query.has(name))
      throw problem("invalid_request", `The parameter "${name.slice(0, 100)}" is given twice.`);
    query.set(name, value);
  }
  return Object.fromEntries(query);
}

/** How long a body may be, as its request's headers say. */
export function bytesToCome({ headers }: Pick<IncomingMessage, "headers">): number {
  const {
    "content-length": length = "0",
    "transfer-encoding": transfer,
    "content-encoding": encoding,
  } = headers;
  return transfer === undefined && encoding === undefined ? Math.min(Number(length), MAX_BODY) : MAX_BODY;
}

/**
 * A body as it came, decompressed; empty when there is none.
 *
 * @throws invalid_request, payload_too_large, unsupported_media_type
 */
export async function readBody(
  method: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Buffer> {
  const {
    "content-length": length,
    "transfer-encoding": encoding,
    "content-type": type = "",
  } = request.headers;
  if (encoding === undefined && (length === undefined || length === "0")) return NO_BODY;
  const [mediaType = "", ...parameters] = type.split(";").map((part) => part.trim().toLowerCase());
  const charset = parameters.find((part) => part.startsWith("charset="))?.replaceAll('"', "");
  if (!acceptedTypes(method).includes(mediaType) || (charset !== undefined && charset !== "charset=utf-8")) {
    throw problem(
      "unsupported_media_type",
      `The body must be ${acceptedTypes(method).join(" or ")} in UTF-8.`,
    );
  }
  // At once: the rest may take longer to come than anybody waits.
  if (Number(length) > MAX_BODY) throw tooLarge();
  return readBytes(request, response);
}

const NO_BODY = Buffer.alloc(0);

const tooLarge = (): Error => problem("payload_too_large", "The body is larger than 1 MiB.");

function readBytes(request: IncomingMessage, response: ServerResponse): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    rawBody(request, response, (error?: unknown) => {
      if (!error) return resolve("body" in request && Buffer.isBuffer(request.body) ? request.body : NO_BODY);
      const type = error instanceof Error && "type" in error ? error.type : "";
      if (type === "entity.too.large") return reject(tooLarge());
      if (type === "encoding.unsupported") {
        return reject(problem("unsupported_media_type", "The content encoding is not supported."));
      }
      reject(problem("invalid_request", "The body could not be read."));
    });
  });
}
