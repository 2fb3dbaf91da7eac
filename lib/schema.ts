import Joi from "joi";
import { Temporal } from "temporal-polyfill";
import { problem } from "./errors.ts";

/**
 * What is said of the errors that are made here. The validator gives it to whole schemas: had a field its own, Joi would
 * join the two at each validation.
 */
export const MESSAGES = {
  "string.unicode": "{{#label}} must be well-formed Unicode without NUL characters",
  "string.dateOrInstant":
    "{{#label}} must be a date like 2026-12-01 or an instant like 2026-12-01T09:00:00+03:00",
  "string.plus": "{{#label}} has a space before its offset: + is written %2B in a query",
  "string.timeZone": "{{#label}} must be an IANA time zone like Europe/Berlin",
  "string.locale": "{{#label}} must be a language tag like en or pt-BR",
};

/** Text that PostgreSQL can keep and UTF-8 can carry: no NUL, no lone surrogate. */
export const text = (): Joi.StringSchema =>
  Joi.string().custom((value: string, helpers) =>
    value.includes("\0") || !value.isWellFormed() ? helpers.error("string.unicode") : value,
  );

/** A UUID of any version; ids that Taskmesh makes are version 7 (RFC 9562). */
export const uuid = (): Joi.StringSchema => Joi.string().guid({ separator: "-", wrapper: false }).lowercase();

/** The params of an action that takes none. */
export const noParams = (): Joi.ObjectSchema<Record<string, never>> =>
  Joi.object<Record<string, never>, true>({});

/** The result of an action that answers nothing. */
export const nothing = (): Joi.AnySchema<null> => Joi.any<null>().valid(null);

const DATE = /^\d{4}-\d{2}-\d{2}$/;
const INSTANT = /^\d{4}-\d{2}-\d{2}[Tt]([01]\d|2[0-3]):\d{2}(:\d{2}(\.\d{1,9})?)?([Zz]|[+-]\d{2}:\d{2})$/;

/** How a date or an instant is written: for documentation, since neither 30 February nor 25:00 is told apart. */
export const DATE_OR_INSTANT = `${DATE.source}|${INSTANT.source}`;

/** Years that both JavaScript and PostgreSQL print with four digits. */
const inRange = (instant: Date): boolean => instant.getUTCFullYear() >= 1 && instant.getUTCFullYear() <= 9999;

const isDate = (value: string): boolean => {
  if (!DATE.test(value)) return false;
  const date = new Date(`${value}T00:00:00Z`);
  // Date rolls 30 February over to March: only a round trip shows that it did.
  return !Number.isNaN(date.getTime()) && date.toISOString().startsWith(value) && inRange(date);
};

const isInstant = (value: string): boolean => {
  if (!INSTANT.test(value) || !isDate(value.slice(0, 10))) return false;
  const instant = new Date(value.toUpperCase());
  return !Number.isNaN(instant.getTime()) && inRange(instant);
};

/**
 * A calendar date (`2026-12-01`) or an RFC 3339 instant with an offset (`2026-12-01T09:00:00+03:00`).
 * Dates stay as they are; instants become UTC with milliseconds.
 */
export const dateOrInstant = (): Joi.StringSchema =>
  Joi.string()
    .custom((value: string, helpers) => {
      if (isDate(value)) return value;
      if (isInstant(value)) return new Date(value.toUpperCase()).toISOString();
      // From its beginning: a search for a T in a text of nothing else takes minutes.
      return helpers.error(
        /^[\d-]+T[\d:.]+ \d\d:\d\d$/i.test(value) ? "string.plus" : "string.dateOrInstant",
      );
    })
    .meta({ pattern: DATE_OR_INSTANT });

/** For a cursor's `error`: it was not made by the list that it is given to. */
export const invalidCursor = (): Error =>
  problem("invalid_cursor", "The cursor is not the `nextCursor` of another page of this list.");

/** An IANA time zone that this runtime knows. */
export const timeZone = (): Joi.StringSchema =>
  Joi.string()
    .max(64)
    .custom((value: string, helpers) => {
      try {
        // Offsets like "+03:00" are accepted by Intl but are no zones: they have no daylight saving rules.
        if (!/^[A-Za-z]/.test(value)) return helpers.error("string.timeZone");
        const known = new Intl.DateTimeFormat("en", { timeZone: value }).resolvedOptions().timeZone;
        // Intl knows old names like "PST" besides, in which Temporal, which computes days, can't compute.
        Temporal.Instant.fromEpochMilliseconds(0).toZonedDateTimeISO(value);
        // V8 answers Asia/Calcutta for Asia/Kolkata: only the case is to be corrected.
        return known.toLowerCase() === value.toLowerCase() ? known : value;
      } catch {
        return helpers.error("string.timeZone");
      }
    });

/** A BCP 47 language tag, in its canonical form. */
export const locale = (): Joi.StringSchema =>
  Joi.string()
    .max(35)
    .custom((value: string, helpers) => {
      try {
        const [canonical] = Intl.getCanonicalLocales(value);
        return canonical ?? helpers.error("string.locale");
      } catch {
        return helpers.error("string.locale");
      }
    });

/** More than any list of names in a query needs. */
const MAX_ITEMS = 100;

const withCommas: Joi.Root = Joi.extend((joi) => ({
  type: "array",
  base: joi.array(),
  coerce: {
    from: "string",
    method: (value: string) => ({ value: value === "" ? [] : value.split(",", MAX_ITEMS + 1) }),
  },
}));

/** A list that may also come as text separated by commas, as in a query string. */
export const commaList = (item: Joi.Schema): Joi.ArraySchema =>
  withCommas.array().items(item).min(1).max(MAX_ITEMS).unique();
