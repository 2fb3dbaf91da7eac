import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { delimiter, join } from "node:path";

/** Packages as a lock file lists them. */
const LOCKED = {
  "": { name: "project" },
  "node_modules/needed": { version: "1.0.0" },
  "node_modules/for-tests": { version: "1.0.0", dev: true },
  "node_modules/for-another-system": { version: "1.0.0", optional: true },
};

/** An npm that takes its time and writes down when it begins and ends. */
const SLOW_NPM = `#!/bin/sh
echo "begin $1" >> calls
sleep 0.3
mkdir -p node_modules
echo end >> calls`;

const PRINT_ARGUMENTS = "console.log(process.argv.slice(2).join());";

const folders: string[] = [];
afterAll(() => {
  for (const folder of folders) rmSync(folder, { recursive: true, force: true });
});

describe("npm 12 and later, which run no package's install script unasked", () => {
  test("are told of every package that has one", () => {
    const { packages } = JSON.parse(readFileSync("package-lock.json", "utf8"));
    const withScript = Object.keys(packages).filter((path) => packages[path].hasInstallScript);
    const names = withScript.map((path) => path.replace(/^.*node_modules\//, ""));
    const { allowScripts } = JSON.parse(readFileSync("package.json", "utf8"));
    expect(names).toContain("node");
    expect(new Set(Object.keys(allowScripts))).toEqual(new Set(names));
  });
});

describe("scripts/run.cjs", () => {
  test("installs once when three scripts start at the same moment on a bare clone", async () => {
    const project = buildProject();
    const runs = await Promise.all([1, 2, 3].map(() => project.run(PRINT_ARGUMENTS).ended));
    expect(runs.map(({ code, stdout }) => ({ code, stdout }))).toEqual(
      Array(3).fill({ code: 0, stdout: "one,two\n" }),
    );
    expect(runs.map(({ stderr }) => stderr).join("")).toBe("installing dependencies…\n");
    expect(project.npmCalls()).toEqual(["begin ci", "end"]);
  });

  test("installs again when the lock file has changed", async () => {
    const project = buildProject();
    await project.run(PRINT_ARGUMENTS).ended;
    project.write(
      "package-lock.json",
      JSON.stringify({ packages: { ...LOCKED, "node_modules/x": { version: "2.0.0" } } }),
    );
    await project.run(PRINT_ARGUMENTS).ended;
    expect(project.npmCalls()).toEqual(["begin ci", "end", "begin ci", "end"]);
  });

  const { "node_modules/needed": needed, "node_modules/for-tests": forTests } = LOCKED;

  test.each([
    { who: "npm ci", packages: { "node_modules/needed": needed, "node_modules/for-tests": forTests } },
    { who: "npm ci --omit=dev", packages: { "node_modules/needed": needed } },
  ])("leaves alone what someone installed with $who", async ({ packages }) => {
    const project = buildProject();
    project.write("node_modules/.package-lock.json", JSON.stringify({ packages }));
    expect(await project.run(PRINT_ARGUMENTS).ended).toEqual({ code: 0, stdout: "one,two\n", stderr: "" });
    expect(project.npmCalls()).toEqual([]);
  });

  test.each([
    { what: "has another version of a package", packages: { "node_modules/needed": { version: "0.9.0" } } },
    { what: "lacks a package", packages: { "node_modules/for-tests": forTests } },
    { what: "is the rest of an interrupted installation", packages: undefined },
  ])("installs when node_modules $what", async ({ packages }) => {
    const project = buildProject();
    project.write("node_modules/rest", "");
    if (packages) project.write("node_modules/.package-lock.json", JSON.stringify({ packages }));
    await project.run(PRINT_ARGUMENTS).ended;
    expect(project.npmCalls()).toEqual(["begin ci", "end"]);
  });

  test("prefers the project's own Node", async () => {
    const project = buildProject();
    project.write("node_modules/node/bin/README", "");
    symlinkSync(process.execPath, project.path("node_modules/node/bin/node"));
    const { stdout } = await project.run("console.log(process.argv0);").ended;
    expect(stdout.trim()).toBe(project.path("node_modules/node/bin/node"));
  });

  test("explains that there is no Node new enough", async () => {
    const project = buildProject();
    const source = readFileSync("scripts/run.cjs", "utf8");
    project.write("scripts/run.cjs", source.replace("NODE_MAJOR = 24", "NODE_MAJOR = 99"));
    const { code, stderr } = await project.run(PRINT_ARGUMENTS).ended;
    expect(code).toBe(1);
    expect(stderr).toContain(`Taskmesh needs Node 99 and this is ${process.version}.`);
    expect(stderr).not.toMatch(/^ {4}at /m);
  });

  test("stops with npm's words when npm fails, and does not run the script", async () => {
    const project = buildProject({ npm: '#!/bin/sh\necho "no network" >&2\nexit 1' });
    const { code, stdout, stderr } = await project.run(PRINT_ARGUMENTS).ended;
    expect({ code, stdout }).toEqual({ code: 1, stdout: "" });
    expect(stderr).toContain("no network\nnpm ci could not install the dependencies");
  });

  test.each([
    { end: "its exit code", script: "process.exit(7);", code: 7 },
    { end: "128 and the signal's number", script: 'process.kill(process.pid, "SIGKILL");', code: 137 },
  ])("ends as the script does, with $end", async ({ script, code }) => {
    expect((await buildProject().run(script).ended).code).toBe(code);
  });

  test.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)("passes %s on to the script", async (signal) => {
    const script = `process.on("${signal}", () => process.exit(5)); setTimeout(() => {}, 10_000); console.log("up");`;
    const { child, ended } = buildProject().run(script);
    await once(child.stdout ?? child, "data");
    child.kill(signal);
    expect((await ended).code).toBe(5);
  });
});

interface Project {
  /** Runs a script of this text by way of run.cjs, with the arguments `one` and `two`. */
  run(script: string): {
    child: ChildProcess;
    ended: Promise<{ code: number; stdout: string; stderr: string }>;
  };
  npmCalls(): string[];
  path(name: string): string;
  write(name: string, text: string): void;
}

/** A bare clone that has nothing but scripts/run.cjs, a lock file and an npm of its own. */
function buildProject({ npm = SLOW_NPM } = {}): Project {
  const folder = realpathSync(mkdtempSync(join(tmpdir(), "taskmesh-run-")));
  folders.push(folder);
  const path = (name: string) => join(folder, name);
  const write = (name: string, text: string) => {
    mkdirSync(join(path(name), ".."), { recursive: true });
    writeFileSync(path(name), text, { mode: 0o755 });
  };
  write("scripts/run.cjs", readFileSync("scripts/run.cjs", "utf8"));
  write("package-lock.json", JSON.stringify({ packages: LOCKED }));
  write("bin/npm", npm);
  return {
    path,
    write,
    npmCalls: () => (existsSync(path("calls")) ? readFileSync(path("calls"), "utf8").trim().split("\n") : []),
    run(script) {
      write("script.ts", script);
      const child = spawn(process.execPath, [path("scripts/run.cjs"), "script.ts", "one", "two"], {
        env: { PATH: path("bin") + delimiter + process.env.PATH },
      });
      const printed = { stdout: "", stderr: "" };
      child.stdout.on("data", (chunk) => {
        printed.stdout += chunk;
      });
      child.stderr.on("data", (chunk) => {
        printed.stderr += chunk;
      });
      return { child, ended: once(child, "close").then(([code]) => ({ code, ...printed })) };
    },
  };
}
