import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import type { ServiceBroker } from "moleculer";
import type { ActionContext } from "../lib/action.ts";
import type { Bus, Events, ParamsOf, ResultOf } from "../lib/bus.ts";
import { runOwned } from "../scripts/services/owned-process.ts";
import { authActions } from "../services/auth/auth.schema.ts";
import type {} from "../services/bus.ts";
import type { ListParams, TaskPage } from "../services/tasks/list.schema.ts";
import type { SparseTask, Task } from "../services/tasks/task.schema.ts";
import { taskActions } from "../services/tasks/tasks.schema.ts";

const ROOT = join(import.meta.dirname, "..");

/*
 * What compiles, for `npm run check`; and what must not, by the compiler itself on files of its own: a type that had
 * become `any` would let all of it pass.
 */

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false;
const same = <A, B>(_: Same<A, B>): void => {};

same<ResultOf<"tasks.list">, TaskPage<SparseTask>>(true);
same<ResultOf<"tasks.delete">, null>(true);
same<ResultOf<"auth.ready">, boolean>(true);
same<ParamsOf<"tasks.list">["limit"], number | undefined>(true);
same<ParamsOf<"tasks.list">["status"], ListParams["status"]>(true);
same<keyof ParamsOf<"tasks.delete">, "id" | "ifMatch" | "ifNoneMatch">(true);
same<Events["tasks.changed"], { userId: string }>(true);

void compiles;
/** Never called: it only has to compile. */
async function compiles(ctx: ActionContext<unknown>, broker: ServiceBroker): Promise<void> {
  const bus: Bus = broker;
  const page = await ctx.call("tasks.list", { due: "today" });
  same<typeof page, TaskPage<SparseTask>>(true);
  same<Awaited<ReturnType<typeof oneByBroker>>, Task>(true);
  await ctx.call("tasks.ready");
  await ctx.call("tasks.emptyTrash", {}, { meta: { passport: "" } });
  await ctx.call("tasks.bulk", { operations: [{ op: "create", task: { title: "a" } }] });
  const weather: { degrees: number } = await ctx.call<{ degrees: number }>("weather.today", {
    place: "here",
  });
  await bus.emit("task.created", { userId: "", tasks: [{ id: "", version: weather.degrees }] });
  await bus.broadcast("tasks.changed", { userId: "" }, ["api"]);
  await bus.emit("weather.changed", { degrees: 3 });
  function oneByBroker() {
    return broker.call("tasks.restore", { id: "" });
  }
}

const WRONG = {
  "a param that there is not": `await ctx.call("tasks.list", { limt: 5 });`,
  "a param of another type": `await ctx.call("tasks.list", { limit: "5" });`,
  "a value that is none of those": `await ctx.call("tasks.list", { due: "tomorrow" });`,
  "no params where some are needed": `await ctx.call("tasks.get");`,
  "a param too few": `await ctx.call("tasks.revert", { id: "" });`,
  "a field of the result that there is not": `(await ctx.call("tasks.get", { id: "" })).titel;`,
  "a result as something else": `const found: number = await ctx.call("tasks.get", { id: "" }); found;`,
  "wrong params, by the broker": `(await broker.call("tasks.get", { ident: "" })).title;`,
  "a wrong result, by the broker": `(await broker.call("tasks.get", { id: "" })).titel;`,
  "wrong params, by Moleculer's context": `(await plain.call("tasks.get", { ident: "" })).title;`,
  "wrong params, by the broker as a bus": `await bus.call("tasks.erase", { ident: "" });`,
  "an event without its payload": `await bus.emit("task.created");`,
  "an event with another payload": `await bus.emit("task.created", { userId: "" });`,
  "a broadcast with another payload": `await ctx.broadcast("tasks.changed", { user: "" });`,
};

const file = (statement: string): string => `import type { Context, ServiceBroker } from "moleculer";
import type { ActionContext } from "./lib/action.ts";
import type { Bus } from "./lib/bus.ts";
import type {} from "./services/bus.ts";
export async function wrong(ctx: ActionContext<unknown>, plain: Context, broker: ServiceBroker, bus: Bus) {
  ${statement}
  return [ctx, plain, broker, bus];
}
`;

describe("the bus", () => {
  const checkout = mkdtempSync(join(tmpdir(), "taskmesh-types-"));
  const guide: string[] = [];
  let complaints: string[];

  beforeAll(async () => {
    for (const name of ["lib", "services", "node_modules", "package.json"])
      symlinkSync(join(ROOT, name), join(checkout, name));
    const write = (name: string, text: string): void => {
      mkdirSync(dirname(join(checkout, name)), { recursive: true });
      writeFileSync(join(checkout, name), text);
    };
    for (const [index, statement] of Object.values(WRONG).entries())
      write(`wrong-${index}.ts`, file(statement));
    write("right.ts", file(`(await ctx.call("tasks.get", { id: "" })).title;`));
    const text = readFileSync(join(ROOT, "docs", "adding-a-service.md"), "utf8");
    for (const [, name = "", code = ""] of text.matchAll(/^```ts (focus\/\S+)\n(.*?)^```$/gms)) {
      if (name.endsWith(".test.ts")) continue;
      guide.push(name);
      write(name, code);
    }
    const { compilerOptions } = JSON.parse(readFileSync(join(ROOT, "tsconfig.json"), "utf8"));
    const options = { ...compilerOptions, types: ["node"], noUnusedLocals: false, noUnusedParameters: false };
    write("tsconfig.json", JSON.stringify({ compilerOptions: options, include: ["*.ts", "focus/*.ts"] }));
    const compiler = [process.execPath, join(ROOT, "node_modules", ".bin", "tsc")] as const;
    const { output } = await runOwned([...compiler, "-p", checkout], { cwd: checkout });
    complaints = output.split("\n").filter((line) => line.includes("error TS"));
  });
  afterAll(() => rmSync(checkout, { recursive: true, force: true }));

  it.each(Object.keys(WRONG).map((what, index) => [what, index] as const))("does not take %s", (_, index) => {
    expect(complaints.filter((line) => line.startsWith(`wrong-${index}.ts`))).not.toEqual([]);
  });

  it("takes what is right, and the service that docs/adding-a-service.md makes", () => {
    expect(guide).toContain("focus/focus.logic.ts");
    expect(complaints.filter((line) => !line.startsWith("wrong-"))).toEqual([]);
  });
});

const contracts = Object.entries({ auth: authActions, tasks: taskActions }).flatMap(([service, actions]) =>
  Object.entries(actions).map(([name, contract]) => ({ name: `${service}.${name}`, contract })),
);

it.each(contracts)("of $name, what has a default may be left out", ({ contract }) => {
  const { keys = {} } = contract.params.describe();
  const withDefault = Object.keys(keys).filter((name) => keys[name].flags?.default !== undefined);
  expect([...("defaults" in contract ? contract.defaults : [])].sort()).toEqual(withDefault.sort());
});
