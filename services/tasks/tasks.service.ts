import type { ServiceSchema } from "moleculer";
import { loadEnv } from "../../config/env.ts";
import { type ActionContext, action, type Contract, readDelivery, readyAction } from "../../lib/action.ts";
import type { Bus } from "../../lib/bus.ts";
import { clock } from "../../lib/clock.ts";
import { keepHouse } from "../../lib/housekeeping.ts";
import { observeDatabase } from "../../lib/observe-sql.ts";
import type { Identity, Scope } from "../../lib/passport.ts";
import { currentRequest } from "../../lib/request-context.ts";
import { MAX_ANSWER } from "../../lib/serializer.ts";
import { validate } from "../../lib/validator.ts";
import { databaseMixin, openDatabase } from "../../mixins/database.ts";
import { pipelines } from "../../mixins/statements.ts";
import { createBulkLogic } from "./bulk.logic.ts";
import { bulkEnvelope, readOperation } from "./bulk.schema.ts";
import { createChangeLogic } from "./changes.logic.ts";
import type { Changes } from "./changes.schema.ts";
import { type Cursors, createCursors } from "./cursors.logic.ts";
import { createHousekeeping } from "./housekeeping.logic.ts";
import { createIdempotency, type Request } from "./idempotency.logic.ts";
import { hintLag, readLag, turnRefusals } from "./metrics.ts";
import { createStatsLogic } from "./stats.logic.ts";
import { createStatsRepository } from "./stats.repository.ts";
import { createTaskLogic } from "./tasks.logic.ts";
import { createTaskRepository } from "./tasks.repository.ts";
import { taskActions } from "./tasks.schema.ts";
import { createTrashLogic } from "./trash.logic.ts";
import { createTurns, type TurnKind } from "./turns.logic.ts";
import type { Announcement, TaskWrites } from "./writes.logic.ts";

const env = loadEnv("TASKS_DATABASE_URL");

const database = openDatabase(env.TASKS_DATABASE_URL);
observeDatabase("tasks", database, () => pipelines.get(database)?.waiting() ?? 0);
const repository = createTaskRepository(database);

let broker: Bus;
let cursors: Cursors;

/** Others read what it was from the log; who misses this finds it there all the same. */
function announce({ event, ...told }: Announcement): void {
  broker.emit(`task.${event}`, told);
  broker.broadcast("tasks.changed", { userId: told.userId }, ["api"]);
  const request = currentRequest();
  if (request) hintLag.observe((performance.now() - request.startedAt) / 1000);
}

/** A page of who goes on from a number; a snapshot is as old as it is. */
function measured(since: unknown, page: Changes): Changes {
  const newest = page.changes.at(-1);
  if (typeof since === "number" && newest)
    readLag.observe(Math.max(0, clock() - Date.parse(newest.at)) / 1000);
  return page;
}

const turnsOf = (kind: TurnKind) =>
  createTurns(kind, {
    clock: () => performance.now(),
    onRefused: (reason) => turnRefusals.inc({ kind, reason }),
  });
const longReads = turnsOf("long_read");
const writeTurns = turnsOf("write");
const tasks = createTaskLogic({ tasks: repository, cursors: () => cursors, longReads, clock });
const stats = createStatsLogic({
  stats: createStatsRepository(database),
  settleDates: tasks.settleDates,
  longReads,
  clock,
});
const log = createChangeLogic({ tasks: repository });
const idempotency = createIdempotency({ tasks: repository, announce, clock });
const trash = createTrashLogic({
  tasks: repository,
  cursors: () => cursors,
  idempotency,
  announce,
  clock,
  inTurn: writeTurns.inTurn,
});
const bulk = createBulkLogic({
  idempotency,
  read: (operation) => validate(readOperation(operation), operation),
  maxAnswer: MAX_ANSWER,
  clock,
});
const housekeeping = createHousekeeping({
  tasks: repository,
  keepTrash: env.TRASH_RETENTION * 1000,
  keepChanges: env.CHANGES_RETENTION * 1000,
  announce,
  clock,
});
let housework: ReturnType<typeof keepHouse> | undefined;

const requestOf = <P>(ctx: ActionContext<P>, params: unknown, { userId }: Identity): Request => ({
  ...readDelivery(ctx),
  userId,
  action: ctx.action?.name ?? "",
  params,
});

/** A write to one task, which is done once however often it comes. */
const write = <P, R>(
  contract: Contract<P, R> & { scope: Scope },
  work: (writes: TaskWrites, params: P, caller: Identity) => Promise<R>,
) =>
  action(contract, (params, caller, ctx: ActionContext<P>) =>
    writeTurns.inTurn(caller.userId, () =>
      idempotency.once(requestOf(ctx, params, caller), (writes) => work(writes, params, caller)),
    ),
  );

/** The tasks of the person whose passport a call carries. */
const tasksService: ServiceSchema = {
  name: "tasks",
  mixins: [databaseMixin(database, repository.model)],

  actions: {
    create: write(taskActions.create, (writes, task, caller) => writes.create(caller, task)),
    list: action(taskActions.list, (params, caller) => tasks.list(caller, params)),
    listText: action(taskActions.listText, (params, caller) => tasks.listText(caller, params)),
    get: action(taskActions.get, ({ id, fields }, caller) => tasks.get(caller, id, fields)),
    update: write(taskActions.update, (writes, params, caller) => writes.update(caller, params)),
    delete: write(taskActions.delete, (writes, params, caller) => writes.delete(caller, params)),
    bulk: action({ ...taskActions.bulk, params: bulkEnvelope }, (params, caller, ctx) =>
      writeTurns.inTurn(caller.userId, () => bulk.bulk(caller, params, requestOf(ctx, params, caller))),
    ),

    stats: action(taskActions.stats, (_, caller) => stats.read(caller)),

    listTrash: action(taskActions.listTrash, (params, caller) => trash.list(caller, params)),
    restore: write(taskActions.restore, (writes, params, caller) => writes.restore(caller, params)),
    erase: action(taskActions.erase, (params, caller, ctx) =>
      writeTurns.inTurn(caller.userId, () =>
        idempotency.atomically(requestOf(ctx, params, caller), ({ writes }) => writes.erase(caller, params)),
      ),
    ),
    emptyTrash: action(taskActions.emptyTrash, (params, caller, ctx) =>
      trash.empty(requestOf(ctx, params, caller)),
    ),

    history: action(taskActions.history, (params, caller) => log.history(caller, params)),
    revert: write(taskActions.revert, (writes, params, caller) => writes.revert(caller, params)),
    changes: action(taskActions.changes, async (params, caller) =>
      measured(params.since, await log.changes(caller, params)),
    ),
    follow: action(taskActions.follow, (params, caller) => log.follow(caller, params)),

    eraseAll: action(taskActions.eraseAll, (_, caller) => housekeeping.eraseAll(caller)),

    ready: readyAction(() => database.query("SELECT 1")),
  },

  created() {
    broker = this.broker;
  },

  async started() {
    cursors = createCursors(await repository.cursorKey());
    housework = keepHouse(housekeeping.chores, (err, chore) =>
      this.logger.warn({ err, chore }, "what has had its time could not be removed"),
    );
  },

  async stopped() {
    await housework?.end();
  },
};

export default tasksService;
