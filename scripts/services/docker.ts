import { randomBytes } from "node:crypto";
import { freePort } from "../embedded/ports.ts";
import { runOwned, spawnOwned } from "./owned-process.ts";

interface Container {
  /** The published port on 127.0.0.1. */
  port: number;
  where: string;
  exited: Promise<number>;
  log: () => string;
  release(): Promise<void>;
}

/**
 * Starts a container whose first process waits for the end of its input: when the client that feeds it is gone,
 * kill -9 included, the container ends and removes itself. `null` without a Docker that answers.
 */
export async function startContainer(container: {
  image: string;
  /** What the image would run, e.g. `docker-entrypoint.sh postgres`. */
  command: string;
  port: number;
  env?: Record<string, string>;
}): Promise<Container | null> {
  if ((await runOwned(["docker", "info"])).code !== 0) return null;
  const pulled = await runOwned(["docker", "pull", "--quiet", container.image]);
  if (pulled.code !== 0) throw new Error(pulled.output.trim());
  const port = await freePort();
  const name = `taskmesh-test-${randomBytes(4).toString("hex")}`;
  const env = Object.entries(container.env ?? {}).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const client = spawnOwned(
    [
      ...(["docker", "run", "--interactive", "--rm", "--name", name, ...env] as const),
      ...["--publish", `127.0.0.1:${port}:${container.port}`, "--entrypoint", "sh", container.image],
      ...["-c", `${container.command} & read _`],
    ],
    ["pipe", "ignore", "ignore"],
  );
  return {
    port,
    where: "in Docker",
    exited: client.exited,
    log: () => `${container.image} ended or does not answer`,
    async release() {
      await runOwned(["docker", "rm", "--force", name]);
      await client.kill();
    },
  };
}
