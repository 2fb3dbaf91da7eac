import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { freePort, type System } from "../../tests/support/system.ts";
import type { Processes } from "./cpu.ts";

/** Something that does Taskmesh's work with less. */
export interface Bare {
  origin: string;
  processes: Processes;
  stop(): void;
}

/** Starts the bare server (bare-server.ts) over the tables and with the signing key of a mesh. */
export const startBare = (mesh: System): Promise<Bare> => start(mesh, "bare-server.ts", ["bare"]);

/** Starts three bare nodes (bare-node.ts) that list the tasks of a mesh over RabbitMQ. */
export const startBareMesh = (mesh: System): Promise<Bare> =>
  start(mesh, "bare-node.ts", ["auth", "tasks", "api"]);

async function start(
  { baseUrl, databaseUrl, namespace, env }: System,
  file: string,
  roles: string[],
): Promise<Bare> {
  const port = await freePort();
  const jwks = await (await fetch(`${baseUrl}/.well-known/jwks.json`)).json();
  const settings = {
    ...process.env,
    DATABASE_URL: databaseUrl,
    AMQP_URL: env.AMQP_URL,
    QUEUES: `${namespace}.bare.`,
    PORT: String(port),
    JWK: JSON.stringify(Object(jwks).keys[0]),
  };
  const children = roles.map((role) => fork(join(import.meta.dirname, file), [role], { env: settings }));
  await Promise.all(children.map((child) => once(child, "message")));
  return {
    origin: `http://127.0.0.1:${port}`,
    processes: Object.fromEntries(children.map(({ pid = 0 }, n) => [roles[n], () => [pid]])),
    stop() {
      for (const child of children) child.kill();
    },
  };
}
