import { loadEnv } from "../config/env.ts";
import { isServiceFile, startNode } from "../lib/node.ts";
import { onParentGone } from "./parent.ts";

const SERVICES = ["auth", "tasks", "api"];
const USAGE = `Usage: npm run service -- ${SERVICES.join(" | ")} | path/to/NAME.service.ts [more…]
  Runs services in this process, on the mesh at AMQP_URL.`;

const names = process.argv.slice(2);
if (names.length === 0 || names.some((name) => !SERVICES.includes(name) && !isServiceFile(name))) {
  console.error(USAGE);
  process.exit(2);
}
loadEnv(
  "AMQP_URL",
  ...(names.includes("auth") ? (["AUTH_DATABASE_URL", "AUTH_SECRET"] as const) : []),
  ...(names.includes("tasks") ? (["TASKS_DATABASE_URL"] as const) : []),
);

try {
  const node = await startNode(names);
  let stopping = false;
  const stop = async (): Promise<void> => {
    if (stopping) return;
    stopping = true;
    await node.stop();
    process.exit(0);
  };
  process.on("SIGTERM", stop);
  process.on("SIGINT", stop);
  onParentGone(stop);
} catch (error) {
  console.error(`${names.join(", ")} could not start: ${error instanceof Error ? error.message : error}`);
  process.exit(1);
}
