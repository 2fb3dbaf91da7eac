import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { routes } from "../services/api/routes.ts";
import { systems } from "./support/systems.ts";

const run = promisify(execFile);

describe.each(systems)("docs/tasks.md, %s", (_mode, system) => {
  test("works when pasted, from top to bottom", async () => {
    const guide = await readFile("docs/tasks.md", "utf8");
    const session = [...guide.matchAll(/```bash\n([\s\S]*?)```/g)].map(([, code]) => code).join("");
    const pasted = session.replace("http://localhost:3000", system.baseUrl);
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", pasted]);

    // The only thing that is refused is what is said to be.
    expect(stdout.match(/"code":"\w+"/g)).toEqual(['"code":"precondition_failed"']);
    expect(stdout).toContain("304 Not Modified");
    expect(stdout).toContain('"byStatus"');
    expect(stdout).toMatch(/event: task\.created\ndata: .*"title":"Something new"/);
    const [once, again] = [...stdout.matchAll(/\{"id":"([^"]+)"[^\n]*"title":"Once"/g)].map(([, id]) => id);
    expect(once).toBe(again);
  });
});

test("docs/tasks.md has every route of tasks", async () => {
  const guide = await readFile("docs/tasks.md", "utf8");
  const lines = guide.replaceAll("$TASK", ":id").split("\n");
  const methodOf = (line: string): string =>
    /-X (\w+)/.exec(line)?.[1] ?? (line.includes("--json") ? "POST" : "GET");
  const shown = new Set(
    lines.flatMap((line) => {
      const path = /\$API(\/[^\s"?]*)/.exec(line)?.[1];
      return path === undefined ? [] : [`${methodOf(line)} ${path}`];
    }),
  );
  const missing = routes
    .filter(({ action }) => action.startsWith("tasks."))
    .map(({ method, path }) => `${method} ${path}`)
    .filter((name) => !shown.has(name));
  expect(missing).toEqual([]);
});
