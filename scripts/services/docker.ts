import { randomBytes } from "node:crypto";
import { freePort } from "../embedded/ports.ts";
import { type OwnedProcess, runOwned, spawnOwned } from "./owned-process.ts";

/** A container that cannot outlive this process. */
interface Container extends OwnedProcess {
  /** The published port on 127.0.0.1. */
  port: number;
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
  const found = await runOwned(["docker", "info"]);
  if (found.code !== 0) return null;
  const port = await freePort();
  const name = `taskmesh-test-${randomBytes(4).toString("hex")}`;
  const env = Object.entries(container.env ?? {}).flatMap(([key, value]) => ["--env", `${key}=${value}`]);
  const client = spawnOwned(
    [
      ...(["docker", "run", "--interactive", "--rm", "--name", name, ...env] as const),
      ...["--publish", `127.0.0.1:${port}:${container.port}`, "--entrypoint", "sh", container.image],
      ...["-c", `${container.command} & read _`],
    ],
    ["pipe", "ignore", "inherit"],
  );
  return {
    ...client,
    port,
    async kill() {
      await runOwned(["docker", "rm", "--force", name]);
      await client.kill();
    },
  };
}
