import { execFile } from "node:child_process";
import { readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { systems } from "./support/systems.ts";

const run = promisify(execFile);

describe.each(systems)("the README's session, %s", (_mode, system) => {
  test("works when pasted", async () => {
    const readme = await readFile("README.md", "utf8");
    const session = /## Five calls[\s\S]*?```bash\n([\s\S]*?)```/.exec(readme)?.[1] ?? "";
    expect(session.match(/\bcurl\b/g)).toHaveLength(5);
    const pasted = session.replace("http://localhost:3000", system.baseUrl);
    const { stdout } = await run("bash", ["-euo", "pipefail", "-c", pasted]);
    expect(stdout).toContain('"emailVerified":false');
    expect(stdout).toMatch(/"items":\[\{"id":"[^"]+","userId":"[^"]+","title":"Buy oat milk"/);
    expect(stdout).toMatch(/"status":"done"/);
    expect(stdout).not.toContain('"code"');
  });
});
