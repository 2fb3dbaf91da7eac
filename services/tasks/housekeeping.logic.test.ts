import { v7 as uuidv7 } from "uuid";
import { validate } from "../../lib/validator.ts";
import { countRunning } from "../../tests/support/count-running.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createHousekeeping } from "./housekeeping.logic.ts";
import { createTaskRepository, type TaskRepository } from "./tasks.repository.ts";
import { taskActions } from "./tasks.schema.ts";
import { buildRow } from "./writes.logic.ts";

const TABLES = ["tasks", "task_texts", "unread_texts", "task_changes", "change_heads", "answers"];
const clock = () => Date.UTC(2026, 10, 22, 10);

let db: MigratedDatabase;
let tasks: TaskRepository;
beforeAll(async () => {
  db = await createMigratedDatabase();
  tasks = createTaskRepository(db.database);
});
afterAll(() => db.drop());

const buildHousekeeping = (repository: TaskRepository = tasks) =>
  createHousekeeping({ tasks: repository, keepTrash: 0, keepChanges: 0, announce: () => {}, clock });

/** Tasks of one person, written at once. */
async function buildTasks(userId: string, count: number): Promise<void> {
  const task = validate(taskActions.create.params, { title: "To be erased" });
  const rows = Array.from({ length: count }, () =>
    buildRow({ userId, timeZone: "UTC" }, task, new Date(clock())),
  );
  await tasks.insert(rows);
}

async function leftOf(userId: string): Promise<Record<string, number>> {
  const left = await Promise.all(
    TABLES.map(async (table) => {
      const sql = `SELECT FROM tasks.${table} WHERE user_id = $1`;
      const [rows] = await db.database.query(sql, { bind: [userId] });
      return [table, rows.length];
    }),
  );
  return Object.fromEntries(left);
}

const nothing = Object.fromEntries(TABLES.map((table) => [table, 0]));

describe("erasing all of a person's", () => {
  it("ends with nothing left though several nodes do it at once", async () => {
    const [userId, other] = [uuidv7(), uuidv7()];
    for (let n = 0; n < 6; n += 1) await buildTasks(userId, 500);
    await buildTasks(other, 1);
    const before = await leftOf(other);
    await Promise.all([1, 2, 3].map(() => buildHousekeeping().eraseAll({ userId })));
    expect([await leftOf(userId), await leftOf(other)]).toEqual([nothing, before]);
  });

  it("leaves whole what is written meanwhile, to be erased by the next time", async () => {
    const userId = uuidv7();
    for (let n = 0; n < 4; n += 1) await buildTasks(userId, 500);
    const writing = async () => {
      for (let n = 0; n < 40; n += 1) await buildTasks(userId, 3);
    };
    await Promise.all([writing(), buildHousekeeping().eraseAll({ userId })]);
    await buildHousekeeping().eraseAll({ userId });
    expect(await leftOf(userId)).toEqual(nothing);
  });

  it("is done once by one process, however often it is asked for meanwhile", async () => {
    const userId = uuidv7();
    for (let n = 0; n < 3; n += 1) await buildTasks(userId, 500);
    const { counted, most } = countRunning(tasks.removeSome);
    const housekeeping = buildHousekeeping({ ...tasks, removeSome: counted });
    await Promise.all([1, 2, 3].map(() => housekeeping.eraseAll({ userId })));
    expect([most(), await leftOf(userId)]).toEqual([1, nothing]);
  });
});
