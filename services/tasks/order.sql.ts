import type { SortField } from "./list.schema.ts";

export interface SortOrder {
  /** `relevance` needs a `q` in the filter. */
  field: SortField | "relevance";
  descending: boolean;
}

export interface SortColumn {
  expression: string;
  /** The same expression over a value of a cursor. */
  of: (bind: string) => string;
  descending: boolean;
}

const TITLE = (value: string): string => `lower(${value} COLLATE "und-x-icu") COLLATE "C"`;

/** No due time is the latest or the earliest there is, so that it comes last in both directions. */
export const NEVER = { ascending: "'infinity'", descending: "'-infinity'" };
export type Direction = keyof typeof NEVER;

/** As in the indexes tasks_due_asc and tasks_due_desc. */
export const DUE = (direction: Direction): string => `coalesce(due_at, ${NEVER[direction]})`;

/** A total order. */
export function sortColumn({ field, descending }: SortOrder): SortColumn {
  switch (field) {
    case "relevance":
      return { expression: "relevance", of: (bind) => `${bind}::int`, descending };
    case "createdAt":
      return { expression: "created_at", of: (bind) => `${bind}::timestamptz`, descending };
    case "updatedAt":
      return { expression: "updated_at", of: (bind) => `${bind}::timestamptz`, descending };
    case "priority":
      return { expression: "priority", of: (bind) => `${bind}::smallint`, descending };
    case "title":
      return { expression: TITLE("title"), of: (bind) => TITLE(`${bind}::text`), descending };
    case "due": {
      const direction = descending ? "descending" : "ascending";
      return {
        expression: DUE(direction),
        of: (bind) => `coalesce(${bind}::timestamptz, ${NEVER[direction]})`,
        descending,
      };
    }
  }
}

/** What a place in an order depends on and a task as people see it does not have. */
export function placesIn(order: SortOrder[]): { expression: string; name: string }[] {
  const has = (asked: SortOrder["field"]): boolean => order.some(({ field }) => field === asked);
  return [
    ...(has("due") ? [{ expression: "due_at", name: '"dueAt"' }] : []),
    ...(has("relevance") ? [{ expression: "relevance", name: "relevance" }] : []),
  ];
}

/** "Comes after this position": as a row comparison, which an index serves, where all keys go one way. */
export function afterPosition(sort: SortColumn[], binds: string[]): string {
  const values = sort.map((column, index) => column.of(binds[index] ?? "NULL"));
  const comparison = ({ descending }: SortColumn): string => (descending ? "<" : ">");
  const [first] = sort;
  if (first && sort.every(({ descending }) => descending === first.descending)) {
    const expressions = sort.map(({ expression }) => expression).join(", ");
    return `(${expressions}) ${comparison(first)} (${values.join(", ")})`;
  }
  const strictlyAfter = sort.reduceRight((rest, column, index) => {
    const beyond = `${column.expression} ${comparison(column)} ${values[index]}`;
    return rest === "" ? beyond : `(${beyond} OR (${column.expression} = ${values[index]} AND ${rest}))`;
  }, "");
  // Implied by the rest, but only this much can be looked up in an index.
  return first ? `${first.expression} ${comparison(first)}= ${values[0]} AND ${strictlyAfter}` : "true";
}
