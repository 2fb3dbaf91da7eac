import { loadEnv } from "../config/env.ts";
import { isServiceFile, type MeshNode, startNode } from "../lib/node.ts";
import { reasonOf } from "./on-database.ts";
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

let node: MeshNode | undefined;
let stopping = false;
async function stop(): Promise<void> {
  if (stopping) return;
  stopping = true;
  // One that has not started yet has nothing to finish, and may wait for RabbitMQ or its database for ever.
  await node?.stop();
  process.exit(0);
}
// Before it starts: the first process of a container has no default action for a signal.
process.on("SIGTERM", stop);
process.on("SIGINT", stop);
onParentGone(stop);

try {
  node = await startNode(names);
} catch (error) {
  console.error(`${names.join(", ")} could not start: ${reasonOf(error)}`);
  process.exit(1);
}
