import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { runOwned } from "../scripts/services/owned-process.ts";
import { createDatabase } from "./support/database.ts";
import { freePort } from "./support/system.ts";

const AUTH_SECRET = randomBytes(32).toString("base64url");
const { PATH, NODE_COMPILE_CACHE } = process.env;

/** Runs a script with these settings alone. */
const run = (line: string, env: Record<string, string>) => {
  const [script, ...args] = line.split(" ");
  return runOwned([process.execPath, `scripts/${script}.ts`, ...args], {
    env: { PATH, NODE_COMPILE_CACHE, ...env },
  });
};

const commands = ["client list", "client remove reader", "user promote ada@example.com", "keys rotate"];

describe("a command on auth's database", () => {
  let empty: Awaited<ReturnType<typeof createDatabase>>;
  beforeAll(async () => {
    empty = await createDatabase();
  });
  afterAll(() => empty.drop());

  test.each(commands)("that is away: npm run %s says so in a line", async (line) => {
    const answer = await run(line, { DATABASE_URL: "postgres://127.0.0.1:1/taskmesh", AUTH_SECRET });
    expect(answer).toEqual({ code: 1, output: "Nothing changed: connect ECONNREFUSED 127.0.0.1:1\n" });
  });

  test.each(commands)("that is not migrated: npm run %s says what to do", async (line) => {
    const { code, output } = await run(line, { DATABASE_URL: empty.url, AUTH_SECRET });
    expect([code, output]).toEqual([
      1,
      expect.stringMatching(
        /^Nothing changed: relation "auth\.\w+" does not exist; run: npm run migrate -- up\n$/,
      ),
    ]);
  });

  test.each(["auth", "tasks"])(
    "that is not migrated: npm run service -- %s says what to do",
    async (name) => {
      const { AMQP_URL = "amqp://guest:guest@127.0.0.1:5672" } = process.env;
      const OPS_PORT = String(await freePort());
      const { code, output } = await run(`service ${name}`, {
        DATABASE_URL: empty.url,
        AUTH_SECRET,
        AMQP_URL,
        OPS_PORT,
        MESH_NAMESPACE: `t-${randomBytes(4).toString("hex")}`,
      });
      expect(code).toBe(1);
      expect(output).toMatch(/^(auth|tasks) could not start: .*does not exist; run: npm run migrate -- up$/m);
    },
  );

  test("of a running npm start takes that one's secret where the variable is empty", async () => {
    const folder = mkdtempSync(join(tmpdir(), "taskmesh-commands-"));
    const running = { databaseUrl: "postgres://127.0.0.1:1/taskmesh", authSecret: AUTH_SECRET };
    writeFileSync(join(folder, "running.json"), JSON.stringify(running));
    const { output } = await run("keys rotate", { DATA_DIR: folder, AUTH_SECRET: "", AUTH_DATABASE_URL: "" });
    expect(output).toMatch(/ECONNREFUSED/);
    rmSync(folder, { recursive: true, force: true });
  });
});
