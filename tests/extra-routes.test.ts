import { execFile } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./support/system.ts";

const ROOT = join(import.meta.dirname, "..");
/** Milliseconds after which a gateway that did not refuse is stopped. */
const REFUSED_WITHIN = 10_000;

const folder = mkdtempSync(join(tmpdir(), "taskmesh-routes-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const route = {
  method: "GET",
  path: "/agenda",
  action: "agenda.today",
  access: "bearer",
  input: "none",
  status: 200,
};

/** What the gateway prints when it refuses to start, which it does before it connects to anything. */
async function refusalOf(modules: string): Promise<string> {
  const [PORT, OPS_PORT] = [String(await freePort()), String(await freePort())];
  const env = {
    ...process.env,
    AMQP_URL: "amqp://127.0.0.1",
    HOST: "127.0.0.1",
    PORT,
    OPS_PORT,
    EXTRA_ROUTES: modules,
  };
  const started = promisify(execFile)(process.execPath, ["scripts/service.ts", "api"], {
    cwd: ROOT,
    env,
    timeout: REFUSED_WITHIN,
    killSignal: "SIGKILL",
  });
  const refused: { code: number; stderr: string } = await started.then(
    () => ({ code: 0, stderr: "" }),
    (error) => error,
  );
  expect(refused.code).toBe(1);
  expect(refused.stderr).not.toMatch(/^ {4}at /m);
  return refused.stderr;
}

describe("the gateway does not start when a route of EXTRA_ROUTES", () => {
  test.each([
    [
      "takes a place of the table",
      [{ ...route, path: "/tasks" }],
      "adds GET /tasks, which collides with GET /tasks",
    ],
    [
      "takes the place of a page",
      [{ ...route, path: "/health/ready" }],
      "adds GET /health/ready, which collides with GET /health/ready",
    ],
    [
      "matches what another route matches",
      [{ ...route, path: "/tasks/today" }],
      "adds GET /tasks/today, which collides with GET /tasks/:id",
    ],
    [
      "hides the other methods of a path behind a parameter of another name",
      [{ ...route, method: "PUT", path: "/tasks/:key" }],
      "adds PUT /tasks/:key, which collides with GET /tasks/:id",
    ],
    ["is there twice", [route, route], "adds GET /agenda, which collides with GET /agenda"],
    [
      "differs from another in case only",
      [{ ...route, path: "/Tasks" }],
      'has routes that don\'t fit: "[0].path"',
    ],
    [
      "says nothing of who may call it",
      [{ ...route, access: undefined }],
      'has routes that don\'t fit: "[0].access"',
    ],
    ["has a field that no route has", [{ ...route, cache: true }], 'has routes that don\'t fit: "[0].cache"'],
    [
      "calls what is no action",
      [{ ...route, action: "$node.list" }],
      'has routes that don\'t fit: "[0].action"',
    ],
    ["is not in a list", { route }, "exports no array `routes`"],
  ])("%s", async (name, routes, complaint) => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(file, `export const routes = ${JSON.stringify(routes)};`);
    expect(await refusalOf(file)).toContain(`EXTRA_ROUTES: ${file} ${complaint}`);
  });

  test.each([
    [
      "has no contract where it says it has one",
      "{ agenda: { today: {} } }",
      'contracts that don\'t fit: "agenda.today.summary"',
    ],
    [
      "has a contract whose schemas are none",
      "{ agenda: { today: { summary: 'x', params: Joi.object({}), result: {} } } }",
      'contracts that don\'t fit: "agenda.today.result"',
    ],
    [
      "has a contract without an example",
      "{ agenda: { today: { summary: 'x', params: Joi.object({}), result: Joi.object({ a: Joi.string() }) } } }",
      "contracts that can't be described: The result of agenda.today.a has no example",
    ],
    [
      "gives something else the title of what there is",
      "{ agenda: { today: { summary: 'x', params: Joi.object({}), result: Joi.object({}).meta({ title: 'Task' }) } } }",
      "contracts that can't be described: Two schemas have the title Task.",
    ],
  ])("%s", async (name, contracts, complaint) => {
    const file = join(folder, `${name}.mjs`);
    writeFileSync(
      file,
      `import Joi from ${JSON.stringify(require.resolve("joi"))};
       export const routes = ${JSON.stringify([route])};
       export const contracts = ${contracts};`,
    );
    expect(await refusalOf(file)).toContain(`EXTRA_ROUTES: ${file} has ${complaint}`);
  });

  test("collides with one of another module", async () => {
    const file = join(folder, "again.mjs");
    writeFileSync(file, `export const routes = ${JSON.stringify([route])};`);
    expect(await refusalOf(`examples/agenda/routes.ts, ${file}`)).toContain(
      `EXTRA_ROUTES: ${file} adds GET /agenda, which collides with GET /agenda`,
    );
  });

  test("is in a module that is missing", async () => {
    const file = join(folder, "missing.mjs");
    expect(await refusalOf(file)).toContain(`EXTRA_ROUTES: ${file} can't be loaded: Cannot find module`);
  });
});
