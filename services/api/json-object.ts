import { isUtf8 } from "node:buffer";
import { visit } from "jsonc-parser";
import { problem, type Violation, validationFailed } from "../../lib/errors.ts";
import { countValues } from "../../lib/input-size.ts";

/** A key that Joi would drop without a word, wherever it is. */
export const PROTO = "__proto__";

/** A field or a parameter that nothing here takes. */
export const unknown = (name: string, part: "query" | "body"): Violation => ({
  path: [name.slice(0, 100)],
  code: "unknown_field",
  detail: `The ${part === "body" ? "field" : "parameter"} "${name.slice(0, 100)}" is not allowed here.`,
  in: part,
});

/**
 * A body as it came, as the JSON object that it has to be.
 *
 * @throws invalid_json, validation_failed
 */
export function parseObject(bytes: Buffer): Record<string, unknown> {
  if (!isUtf8(bytes)) throw problem("invalid_json", "The body is not valid UTF-8.");
  const text = bytes.toString();
  const value = parseJson(text);
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw validationFailed([{ path: [], code: "wrong_type", detail: "The body must be a JSON object." }]);
  }
  countValues(value);
  checkText(text);
  return { ...value };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw problem("invalid_json", "The body is not valid JSON.");
  }
}

/**
 * What JSON.parse passes over: of two equal keys it keeps the last, and a number that is too large becomes infinite, which
 * RabbitMQ's JSON has as null. A client that sends such has a bug it should hear of.
 *
 * @throws invalid_json; validation_failed for what nobody would tell of otherwise
 */
function checkText(text: string): void {
  const open: Set<string>[] = [];
  const unheard: Violation[] = [];
  let repeated: string | undefined;
  visit(text, {
    onObjectBegin: () => {
      open.push(new Set());
    },
    onObjectEnd: () => {
      open.pop();
    },
    onObjectProperty: (key, _offset, _length, _line, _character, pathSupplier) => {
      if (key === PROTO) unheard.push({ ...unknown(key, "body"), path: [...pathSupplier(), key] });
      if (open.at(-1)?.has(key)) repeated ??= key;
      open.at(-1)?.add(key);
    },
    onLiteralValue: (value, _offset, _length, _line, _character, pathSupplier) => {
      if (typeof value === "number" && !Number.isFinite(value))
        unheard.push({
          path: pathSupplier(),
          code: "too_large",
          detail: "The number is too large.",
          in: "body",
        });
    },
  });
  if (repeated !== undefined)
    throw problem("invalid_json", `The key "${repeated.slice(0, 100)}" is given twice.`);
  if (unheard.length > 0) throw validationFailed(unheard);
}
