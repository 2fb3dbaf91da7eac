import fc from "fast-check";
import { PRIORITIES, STATUSES } from "./rules.ts";

/*
 * What two people do, as data: a failing sequence is printed as it is. Which task is meant is said by where it is,
 * and found when the operation's turn comes.
 */

export interface Target {
  /** Where the task is: in the person's own list, …, in nobody's, or no id at all. */
  where: "list" | "trash" | "erased" | "theirs" | "nobody's" | "nonsense";
  /** Which of them, counted round. */
  index: number;
}

/** A header with entity tags, of the version that the task has then. */
export type Tags = "current" | "stale" | "either" | "any" | "weak" | "malformed" | null;

interface Guarded {
  ifMatch: Tags;
  ifNoneMatch: Tags;
}

/** One of a few Idempotency-Keys, so that they meet. */
interface Keyed {
  key: number | null;
}

type Fields = Record<string, unknown>;

export interface BulkItem {
  op: "create" | "update" | "delete" | "paint";
  target: Target;
  fields: Fields;
  version: "current" | "stale" | null;
}

export type Action =
  | ({ do: "create"; fields: Fields } & Keyed)
  | ({ do: "update"; target: Target; fields: Fields } & Guarded & Keyed)
  | ({ do: "delete" | "restore" | "erase"; target: Target } & Guarded & Keyed)
  | ({ do: "revert"; target: Target; back: number } & Guarded & Keyed)
  | ({ do: "bulk"; items: BulkItem[]; atomic?: boolean | undefined; dryRun?: boolean | undefined } & Keyed)
  | { do: "repeat"; index: number }
  | { do: "empty trash" }
  | { do: "move"; zone: number }
  | { do: "read"; target: Target; ifNoneMatch: Tags }
  | { do: "history"; target: Target; limit: number }
  | { do: "list"; query: Record<string, string>; limit: number; bound: string | null }
  | { do: "next page"; walk: number; of: "it" | "another list" | "theirs" }
  | { do: "trash"; limit: number }
  | { do: "sync"; limit: number; pages: number; afterwards: "keep" | "lose the place" | "lose everything" }
  | { do: "sync from nowhere" };

export type Operation = Action & { who: number };

/**
 * What two people do, one thing after the other.
 *
 * @param now milliseconds: due times are around it
 */
export function sequences(now: number, maxOperations: number): fc.Arbitrary<Operation[]> {
  const day = (days: number): string => new Date(now + days * 86_400_000).toISOString().slice(0, 10);
  const hour = (hours: number): string => new Date(now + hours * 3_600_000).toISOString();
  const elsewhere = (hours: number): string => hour(hours + 3).replace("Z", "+03:00");
  const due = fc.oneof(
    fc.constantFrom(null, day(-400), day(-1), day(0), day(1), day(6), day(7), day(40)),
    fc.constantFrom(hour(-30), hour(-2), hour(2), elsewhere(2), hour(150), "0001-01-01", "9999-12-31"),
  );

  const fields = {
    title: fc.constantFrom("a", "B", "b ", "Äpfel", "äpfel", "Ж", "🥛", "x".repeat(200)),
    description: fc.constantFrom("", "Text", " kept as it is\n"),
    status: fc.constantFrom(...STATUSES),
    priority: fc.constantFrom(...PRIORITIES),
    due,
    tags: fc.constantFrom([], ["home"], ["home", " work "], ["work", "home"], ["дом"]),
  };
  const wrong: fc.Arbitrary<Fields> = fc.constantFrom(
    { title: " " },
    { title: null },
    { description: null },
    { status: "closed" },
    { due: "soon" },
    { tags: ["a", "a "] },
    { version: 7 },
    { userId: "me" },
  );
  const often = <T>(right: fc.Arbitrary<T>, rare: fc.Arbitrary<T>) =>
    fc.oneof({ arbitrary: right, weight: 12 }, { arbitrary: rare, weight: 1 });
  const newFields = often<Fields>(fc.record(fields, { requiredKeys: ["title"] }), wrong);
  const patch = often<Fields>(fc.record(fields, { requiredKeys: [] }), wrong);

  const target: fc.Arbitrary<Target> = fc.record({
    where: fc.oneof(
      { arbitrary: fc.constant("list" as const), weight: 8 },
      { arbitrary: fc.constant("trash" as const), weight: 1 },
      { arbitrary: fc.constantFrom("erased", "theirs", "nobody's", "nonsense"), weight: 1 },
    ),
    index: fc.nat(20),
  });
  const trashed: fc.Arbitrary<Target> = fc.oneof(
    { arbitrary: fc.record({ where: fc.constant("trash" as const), index: fc.nat(20) }), weight: 4 },
    { arbitrary: target, weight: 1 },
  );
  // A revert finds a task wherever it is.
  const either = fc.oneof({ arbitrary: target, weight: 2 }, { arbitrary: trashed, weight: 1 });
  const tags = fc.oneof(
    { arbitrary: fc.constant(null), weight: 6 },
    {
      arbitrary: fc.constantFrom<Tags>("current", "stale", "either", "any", "weak", "malformed"),
      weight: 2,
    },
  );
  const guarded = {
    ifMatch: tags,
    ifNoneMatch: fc.oneof({ arbitrary: fc.constant(null), weight: 4 }, { arbitrary: tags, weight: 1 }),
  };
  const keyed = { key: fc.oneof(fc.constant(null), fc.constant(null), fc.nat(3)) };
  const is = <const T extends string>(name: T) => fc.constant(name);

  const item: fc.Arbitrary<BulkItem> = fc
    .record({
      op: fc.constantFrom("create", "update", "update", "delete"),
      target,
      newFields,
      patch,
      version: fc.constantFrom(null, null, "current", "stale"),
      painted: fc.nat(25),
    })
    .map(({ op, newFields: created, patch: changed, painted, ...rest }) => ({
      op: painted === 0 ? "paint" : op,
      fields: op === "create" ? created : changed,
      ...rest,
    }));
  const goodItem = item.filter(
    ({ op, target: { where }, version }) => op !== "paint" && where === "list" && version !== "stale",
  );

  const subset = (values: readonly string[]) =>
    fc.subarray([...values], { minLength: 1 }).map((some) => some.join(","));
  const bounds = fc.oneof(due.filter((value) => value !== null));
  const sort = fc
    .shuffledSubarray(["createdAt", "updatedAt", "due", "priority", "title"], { minLength: 1, maxLength: 3 })
    .chain((names) => fc.tuple(...names.map((name) => fc.constantFrom(name, `-${name}`))))
    .map((keys) => keys.join(","));
  const query = fc.record(
    {
      status: subset(STATUSES),
      priority: subset(PRIORITIES),
      tag: subset(["home", "work", "дом"]),
      due: fc.constantFrom("none", "any", "overdue", "today", "week"),
      dueFrom: bounds,
      dueTo: bounds,
      sort,
      count: fc.constantFrom("true", "false"),
    },
    { requiredKeys: [] },
  );
  const anyQuery = fc.oneof(
    fc.record({ sort }, { requiredKeys: [] }),
    fc.record({ due: fc.constantFrom("any", "overdue", "today", "week"), sort }, { requiredKeys: [] }),
    query,
  );
  const bound = fc.constantFrom(
    ...Array<null>(6).fill(null),
    ...["createdFrom", "createdTo", "updatedFrom", "updatedTo", "completedFrom", "completedTo"],
  );
  const limit = fc.oneof(fc.integer({ min: 1, max: 4 }), fc.constant(100));

  const weighted: [number, fc.Arbitrary<Action>][] = [
    [10, fc.record({ do: is("create"), fields: newFields, ...keyed })],
    [12, fc.record({ do: is("update"), target, fields: patch, ...guarded, ...keyed })],
    [8, fc.record({ do: is("delete"), target, ...guarded, ...keyed })],
    [4, fc.record({ do: is("restore"), target: trashed, ...guarded, ...keyed })],
    [3, fc.record({ do: is("erase"), target: trashed, ...guarded, ...keyed })],
    [
      5,
      fc.record({
        do: is("revert"),
        target: either,
        back: fc.constantFrom(1, 1, 1, 2, 2, 3, 0, -1, 9),
        ...guarded,
        ...keyed,
      }),
    ],
    [
      6,
      fc.record({
        do: is("bulk"),
        items: fc.oneof(
          fc.array(goodItem, { minLength: 1, maxLength: 6 }),
          fc.array(item, { minLength: 0, maxLength: 6 }),
        ),
        atomic: fc.constantFrom(undefined, true, false, false),
        dryRun: fc.constantFrom(undefined, undefined, false, true),
        ...keyed,
      }),
    ],
    [4, fc.record({ do: is("repeat"), index: fc.nat(10) })],
    [1, fc.record({ do: is("empty trash") })],
    [2, fc.record({ do: is("move"), zone: fc.nat(20) })],
    [3, fc.record({ do: is("read"), target, ifNoneMatch: tags })],
    [3, fc.record({ do: is("history"), target: either, limit })],
    [5, fc.record({ do: is("list"), query: anyQuery, limit, bound })],
    [
      8,
      fc.record({
        do: is("next page"),
        walk: fc.nat(5),
        of: fc.constantFrom("it", "it", "it", "it", "it", "another list", "theirs"),
      }),
    ],
    [2, fc.record({ do: is("trash"), limit })],
    [
      8,
      fc.record({
        do: is("sync"),
        limit: fc.oneof(fc.integer({ min: 1, max: 3 }), fc.constant(1_000)),
        pages: fc.integer({ min: 1, max: 4 }),
        afterwards: fc.constantFrom("keep", "keep", "keep", "lose the place", "lose everything"),
      }),
    ],
    [1, fc.record({ do: is("sync from nowhere") })],
  ];
  const who = fc.integer({ min: 0, max: 1 });
  const action = fc.oneof(...weighted.map(([weight, arbitrary]) => ({ arbitrary, weight })));
  const by = (actions: fc.Arbitrary<Action>) =>
    fc.tuple(who, actions).map(([one, each]) => ({ ...each, who: one }));
  // Tasks first, for the rest to meet.
  const create = fc.record({ do: is("create"), fields: newFields, key: fc.constant(null) });
  const length = { minLength: 0, maxLength: maxOperations, size: "max" } as const;
  const beginning = fc.array(by(create), { ...length, maxLength: 12 });
  // Without bias, which is towards short sequences.
  return fc.noBias(fc.tuple(beginning, fc.array(by(action), length)).map((parts) => parts.flat()));
}
