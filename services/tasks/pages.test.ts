import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { QueryTypes } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { validate } from "../../lib/validator.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createCursors } from "./cursors.logic.ts";
import { SORT_FIELDS } from "./list.schema.ts";
import { createTaskLogic } from "./tasks.logic.ts";
import { createTaskRepository, type TaskRow } from "./tasks.repository.ts";
import { taskActions } from "./tasks.schema.ts";
import { createTurns } from "./turns.logic.ts";

/*
 * While somebody turns the pages of a list, everything is written that can be: tasks come, go, move within the order
 * and change without moving. What did not move is seen once, in the order it had.
 */

const NOW = Date.UTC(2026, 10, 22, 10);
const caller = (userId: string) => ({ userId, timeZone: "UTC" });

let db: MigratedDatabase;
let repository: ReturnType<typeof createTaskRepository>;
let logic: ReturnType<typeof createTaskLogic>;
beforeAll(async () => {
  db = await createMigratedDatabase();
  repository = createTaskRepository(db.database);
  const cursors = createCursors(randomBytes(32));
  const clock = () => NOW;
  const longReads = createTurns("long_read", { clock });
  logic = createTaskLogic({ tasks: repository, cursors: () => cursors, longReads, clock });
});
afterAll(() => db.drop());

const moments = fc.integer({ min: 0, max: 3 }).map((hours) => new Date(NOW + hours * 3_600_000));
/** Two or three values of each, so that ties are the rule; all are found by "milk", in different places. */
const moving = fc.record({
  title: fc.constantFrom("milk", "Milk", "milkshake", "oat milk", "bread"),
  tags: fc.subarray(["milk"]),
  priority: fc.integer({ min: 0, max: 1 }),
  dueAt: fc.option(moments),
  createdAt: moments,
  updatedAt: moments,
});
const build = (userId: string, fields: typeof moving extends fc.Arbitrary<infer T> ? T : never): TaskRow => ({
  ...fields,
  userId,
  id: uuidv7(),
  description: "milk",
  status: "open",
  dueOn: null,
  dueZone: null,
  completedAt: null,
  version: 1,
  deletedAt: null,
});

const sorts = fc
  .shuffledSubarray([...SORT_FIELDS], { minLength: 1, maxLength: 3 })
  .chain((fields) => fc.tuple(...fields.map((field) => fc.constantFrom(field, `-${field}`))));
const lists = fc.oneof(
  { weight: 4, arbitrary: sorts.map((sort) => ({ sort })) },
  { weight: 1, arbitrary: sorts.map((sort) => ({ sort, q: "milk" })) },
  { weight: 2, arbitrary: fc.constant({ q: "milk" }) },
);

/** What is written between two pages, to a task that may not stay where it is. */
const writes = fc.array(
  fc.oneof(
    moving.map((fields) => ({ kind: "create" as const, fields })),
    fc.nat().map((which) => ({ kind: "delete" as const, which })),
    fc.tuple(fc.nat(), moving).map(([which, fields]) => ({ kind: "move" as const, which, fields })),
  ),
  { maxLength: 4 },
);

describe("the pages of a list that is written meanwhile", () => {
  it("neither skip nor repeat a task that did not move, by whatever sort", async () => {
    const scripts = fc.record({
      query: lists,
      staying: fc.array(moving, { minLength: 4, maxLength: 14 }),
      passing: fc.array(moving, { minLength: 1, maxLength: 6 }),
      limits: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 5 }),
      between: fc.array(writes, { minLength: 1, maxLength: 6 }),
    });
    await fc.assert(
      fc.asyncProperty(scripts, async ({ query, staying, passing, limits, between }) => {
        const userId = uuidv7();
        const page = (more: object) =>
          logic.list(caller(userId), validate(taskActions.list.params, { ...query, ...more }));
        const stays = staying.map((fields) => build(userId, fields));
        const passes = passing.map((fields) => build(userId, fields));
        await repository.model.bulkCreate([...stays, ...passes], { returning: false });
        const still = new Set(stays.map(({ id }) => id));
        const inOrder = (await page({ limit: 100 })).items.map(({ id }) => id).filter((id) => still.has(id));
        expect(inOrder).toHaveLength(stays.length);

        const seen: string[] = [];
        const moved = new Set<string>();
        let cursor: string | null = null;
        for (let turn = 0; turn === 0 || cursor !== null; turn++) {
          // Without end where tasks come behind the cursor at each turn: they stop coming after a while.
          const { items, nextCursor } = await page({
            limit: limits[turn % limits.length],
            ...(cursor ? { cursor } : {}),
          });
          seen.push(...items.map(({ id }) => id));
          cursor = nextCursor;
          for (const write of turn < 20 ? (between[turn % between.length] ?? []) : []) {
            if (write.kind === "create") {
              const row = build(userId, write.fields);
              passes.push(row);
              await repository.insert([row]);
              continue;
            }
            const row = passes[write.which % passes.length];
            if (!row) continue;
            if (write.kind === "delete")
              await repository.write(userId, [{ id: row.id, patch: { deletedAt: new Date(NOW) } }], {
                now: new Date(NOW),
              });
            else {
              moved.add(row.id);
              await repository.model.update(write.fields, { where: { userId, id: row.id } });
            }
          }
          // A change that moves nothing, to everything that stays.
          await db.database.query(
            "UPDATE tasks.tasks SET version = version + 1, status = 'in_progress' WHERE user_id = $1 AND id = ANY($2::uuid[])",
            { bind: [userId, [...still]], type: QueryTypes.UPDATE },
          );
        }
        expect(seen.filter((id) => still.has(id))).toEqual(inOrder);
        const unmoved = seen.filter((id) => !moved.has(id));
        expect(new Set(unmoved).size).toBe(unmoved.length);
      }),
      { numRuns: 60 },
    );
  });
});
