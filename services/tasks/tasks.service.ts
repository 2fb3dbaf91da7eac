import type { ServiceSchema } from "moleculer";
import { loadEnv } from "../../config/env.ts";
import { action, readyAction } from "../../lib/action.ts";
import { databaseMixin, openDatabase } from "../../mixins/database.ts";
import { type Cursors, createCursors } from "./cursors.logic.ts";
import { createStatsLogic } from "./stats.logic.ts";
import { createStatsRepository } from "./stats.repository.ts";
import { createTaskLogic } from "./tasks.logic.ts";
import { createTaskRepository } from "./tasks.repository.ts";
import { taskActions } from "./tasks.schema.ts";

const env = loadEnv("TASKS_DATABASE_URL");

const database = openDatabase(env.TASKS_DATABASE_URL);
const repository = createTaskRepository(database);
let cursors: Cursors;
const tasks = createTaskLogic({ tasks: repository, cursors: () => cursors, clock: Date.now });
const stats = createStatsLogic({
  stats: createStatsRepository(database),
  settleDates: tasks.settleDates,
  clock: Date.now,
});

/** The tasks of the person whose passport a call carries. */
const tasksService: ServiceSchema = {
  name: "tasks",
  mixins: [databaseMixin(database, repository.model)],

  actions: {
    create: action(taskActions.create, (task, caller) => tasks.create(caller, task)),
    list: action(taskActions.list, (params, caller) => tasks.list(caller, params)),
    get: action(taskActions.get, ({ id, fields }, caller) => tasks.get(caller, id, fields)),
    update: action(taskActions.update, ({ id, patch }, caller) => tasks.update(caller, id, patch)),
    delete: action(taskActions.delete, ({ id }, caller) => tasks.delete(caller, id)),
    stats: action(taskActions.stats, (_, caller) => stats.read(caller)),
    eraseAll: action(taskActions.eraseAll, (_, caller) => tasks.eraseAll(caller)),

    ready: readyAction(() => database.query("SELECT 1")),
  },

  async started() {
    cursors = createCursors(await repository.cursorKey());
  },
};

export default tasksService;
