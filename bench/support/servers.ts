import { randomBytes } from "node:crypto";
import { rmSync } from "node:fs";
import { openPostgres } from "../../scripts/services/postgres.ts";
import { openRabbitMq } from "../../scripts/services/rabbitmq.ts";
import { makeScratchFolder } from "../../scripts/services/scratch-folder.ts";

/** PostgreSQL and RabbitMQ as npm test gets them: those that run, or throw-away ones. Their URLs go into the environment. */
export async function openServers(): Promise<{ release(): Promise<void> }> {
  const run = randomBytes(4).toString("hex");
  const directory = makeScratchFolder(run);
  const options = {
    run,
    directory,
    log: (line: string) => console.error(`[bench] ${line}`),
    signal: new AbortController().signal,
  };
  const { DATABASE_URL, AMQP_URL } = process.env;
  const postgres = await openPostgres({ url: DATABASE_URL, ...options });
  const rabbitmq = await openRabbitMq({ url: AMQP_URL, ...options });
  Object.assign(process.env, {
    DATABASE_URL: postgres.url,
    AMQP_URL: rabbitmq.url,
    TASKMESH_TEST_RUN: run,
  });
  return {
    async release() {
      await postgres.release();
      await rabbitmq.release();
      rmSync(directory, { recursive: true, force: true, maxRetries: 10 });
    },
  };
}
