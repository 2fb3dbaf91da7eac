// Runs one of the project's scripts: `node scripts/run.cjs scripts/start.ts`. Installs the locked packages first
// when they are missing or older than the lock file, then runs the script on the project's own Node. Uses no
// package and no new syntax, because on a bare clone there is only the machine's Node, and that may be old.
const { spawn } = require("node:child_process");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const net = require("node:net");
const os = require("node:os");
const path = require("node:path");

const NODE_MAJOR = 24;
const root = path.resolve(__dirname, "..");
const modules = path.join(root, "node_modules");
const marker = path.join(modules, ".taskmesh-lock");
const windows = process.platform === "win32";

async function main(script, args) {
  if (!script) throw new Error("Usage: node scripts/run.cjs scripts/NAME.ts [arguments]");
  if (!isInstalled()) await install();
  process.exitCode = await runOnProjectNode(script, args);
}

// --- packages ---------------------------------------------------------------------------------------------

function isInstalled() {
  const lock = read(path.join(root, "package-lock.json"));
  if (lock === undefined) return fs.existsSync(modules);
  if (read(marker) === sha256(lock)) return true;
  const present = read(path.join(modules, ".package-lock.json"));
  return present !== undefined && satisfies(JSON.parse(present).packages, JSON.parse(lock).packages);
}

/** Whether npm's own record of node_modules is what the lock file asks for: someone ran npm by hand. Packages
 * may be missing that this platform does not need, or that were left out on purpose (`npm ci --omit=dev`). */
function satisfies(present, wanted) {
  const withDev = Object.values(present).some((entry) => entry.dev);
  return Object.entries(wanted).every(([where, want]) => {
    if (present[where]) return present[where].version === want.version;
    return where === "" || want.optional || want.devOptional || want.peer || (want.dev && !withDev);
  });
}

async function install() {
  const endTurn = await installTurn();
  try {
    if (isInstalled()) return; // another script installed while this one waited
    process.stderr.write("installing dependencies…\n");
    const flags = ["--include=dev", "--include=optional", "--no-audit", "--no-fund", "--loglevel=error"];
    const code = await run("npm", ["ci", ...flags], {
      // npm must not run on the Node inside the node_modules that it is about to delete
      env: { ...process.env, PATH: pathWithout(modules) },
      shell: windows,
      stdio: ["ignore", "ignore", "inherit"],
    }).catch((error) => {
      throw new Error(`npm ci could not be started (${error.message}). Is npm installed?`);
    });
    if (code > 128) process.exit(code);
    if (code !== 0) throw new Error("npm ci could not install the dependencies; what it said is above.");
    fs.writeFileSync(marker, sha256(read(path.join(root, "package-lock.json"))));
  } finally {
    endTurn();
  }
}

/** Waits until no other script installs here. The lock is a listening port, because the system frees it however
 * its process ends: there is no stale lock to judge. Its number comes from the project's path; whoever connects
 * is told that path, so a stranger on the same number is noticed and the next number taken. */
async function installTurn() {
  let port = 20_000 + (parseInt(sha256(root).slice(0, 8), 16) % 10_000);
  for (;;) {
    const endTurn = await listen(port);
    if (endTurn) return endTurn;
    if (!(await otherInstallEnded(port))) port += 1;
  }
}

function listen(port) {
  return new Promise((resolve) => {
    const waiting = new Set();
    const server = net.createServer((socket) => {
      waiting.add(socket);
      socket.on("error", () => socket.destroy()).write(root);
    });
    const endTurn = () => {
      server.close();
      for (const socket of waiting) socket.destroy();
    };
    server.once("error", () => resolve(undefined)).listen(port, "127.0.0.1", () => resolve(endTurn));
  });
}

/** Resolves to true when the script that installs here has ended, to false when the port is a stranger's. */
function otherInstallEnded(port) {
  return new Promise((resolve) => {
    let heard = "";
    const socket = net.connect(port, "127.0.0.1");
    const impatient = setTimeout(() => socket.destroy(), 2_000);
    socket.setEncoding("utf8");
    socket.on("data", (text) => {
      heard += text;
      if (heard === root) clearTimeout(impatient);
    });
    socket.once("error", (error) => {
      if (error.code === "ECONNREFUSED") heard = root; // it ended between our two looks
    });
    socket.once("close", () => {
      clearTimeout(impatient);
      resolve(heard === root);
    });
  });
}

// --- the script -------------------------------------------------------------------------------------------

async function runOnProjectNode(script, args) {
  // Node keeps what it compiled: a third off the start of every process. A folder it can't write to is no trouble.
  const env = { NODE_COMPILE_CACHE: path.join(modules, ".cache", "compiled"), ...process.env };
  const nodes = [path.join(modules, "node", "bin", windows ? "node.exe" : "node")].filter(fs.existsSync);
  if (Number(process.versions.node.split(".")[0]) >= NODE_MAJOR) nodes.push(process.execPath);
  for (const node of nodes) {
    try {
      return await run(node, [script, ...args], { env, stdio: ["inherit", "inherit", "inherit", "ipc"] });
    } catch (error) {
      if (error.code !== "ENOENT" && error.code !== "ENOEXEC") throw error; // else: built for another system
    }
  }
  throw new Error(
    `Taskmesh needs Node ${NODE_MAJOR} and this is ${process.version}. The npm package "node", a development ` +
      "dependency, brings it: run npm ci without --omit=dev and without --ignore-scripts, or install " +
      `Node ${NODE_MAJOR} on this machine.`,
  );
}

/** Runs a command in the project's folder until it ends and resolves to its exit code, 128+n for signal n.
 * Signals are passed on; when whoever started us dies without a signal (kill -9), the command is stopped. */
function run(command, args, options) {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { cwd: root, ...options });
    const signals = ["SIGINT", "SIGTERM", "SIGHUP"];
    const forward = (signal) => child.kill(signal);
    const before = starters();
    const watch = setInterval(() => {
      if (starters() === before) return;
      clearInterval(watch);
      child.kill("SIGTERM");
      setTimeout(() => child.kill("SIGKILL"), 20_000).unref();
    }, 500);
    const end = (settle, value) => {
      clearInterval(watch);
      for (const signal of signals) process.off(signal, forward);
      settle(value);
    };
    for (const signal of signals) process.on(signal, forward);
    child.once("error", (error) => end(reject, error));
    child.once("exit", (code, signal) =>
      end(resolve, code === null ? 128 + os.constants.signals[signal] : code),
    );
  });
}

/** The pids of whoever started us: the parent, and behind it npm when the parent is the `sh -c` that npm runs
 * scripts with. Some shells (dash) stay in between, and then npm's death does not change our parent. */
function starters() {
  const parent = process.ppid;
  const behind = process.env.npm_lifecycle_event && read(`/proc/${parent}/cmdline`);
  if (behind?.split("\0")[1] !== "-c") return String(parent);
  const stat = read(`/proc/${parent}/stat`) || "";
  return `${parent} ${stat.slice(stat.lastIndexOf(")")).split(" ")[2]}`;
}

// --- small things -----------------------------------------------------------------------------------------

function read(file) {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return undefined;
  }
}

function sha256(text) {
  return createHash("sha256").update(text).digest("hex");
}

function pathWithout(folder) {
  const folders = (process.env.PATH || "").split(path.delimiter);
  return folders.filter((entry) => !entry.startsWith(folder)).join(path.delimiter);
}

main(process.argv[2], process.argv.slice(3)).catch((error) => {
  console.error(error.message);
  process.exitCode = 1;
});
