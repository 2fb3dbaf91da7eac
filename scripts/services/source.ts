import { setTimeout as delay } from "node:timers/promises";

/** Milliseconds until a server must answer: a slow disk, two busy cores. */
const START_TIMEOUT = 90_000;

/** A server for the tests to use. */
export interface TestServer {
  url: string;
  /** Where it came from, for the log. */
  description: string;
  /** Of a server that was started, where it is a process of this machine: the id of its process group. */
  pid?: number | undefined;
  /** Ends a server that was started, removes what the tests made on one that was running. */
  release(): Promise<void>;
}

export interface OpenOptions {
  /** The URL that the environment gives; it must answer, and nothing else is tried. */
  url: string | undefined;
  /** The run's id, in the names of all that its tests make. */
  run: string;
  /** Where a throw-away server may keep its files. */
  directory: string;
  log: (line: string) => void;
  /** Ends the search for a server. */
  signal: AbortSignal;
}

/** One way to get a server. */
export interface Source {
  name: string;
  /** `null` where this machine has no such thing; throws when it has and it failed. */
  open(): Promise<TestServer | null>;
}

/**
 * The first server that can be had, in the order given.
 *
 * @throws an Error that says what each source answered, then `advice`
 */
export async function openFirst(
  what: string,
  sources: readonly Source[],
  advice: string,
  { log, signal }: Pick<OpenOptions, "log" | "signal">,
): Promise<TestServer> {
  const answers: string[] = [];
  for (const { name, open } of sources) {
    signal.throwIfAborted();
    const server = await open().catch((error: unknown) => {
      answers.push(`${name}: ${error instanceof Error ? error.message : error}`);
      return null;
    });
    if (server) {
      log(`${what}: ${server.description}`);
      return server;
    }
    if (!answers.at(-1)?.startsWith(`${name}:`)) answers.push(`${name}: not here`);
  }
  throw new Error(`No ${what} for the tests.\n${answers.map((line) => `  ${line}\n`).join("")}${advice}`);
}

/**
 * A server that was just started, once it answers.
 *
 * @param starting.ask gives the server's version, throws as long as it does not answer
 * @param starting.exited settles when there is no more hope
 * @throws an Error with the end of the server's log, after its release
 */
export async function whenAnswering(
  starting: Pick<TestServer, "url" | "release" | "pid"> & {
    where: string;
    ask: (url: string) => Promise<string>;
    exited: Promise<unknown>;
    log: () => string;
  },
): Promise<TestServer> {
  const { url, release, pid, where, ask, exited, log } = starting;
  const deadline = Date.now() + START_TIMEOUT;
  let ended = false;
  const end = exited.then(() => {
    ended = true;
  });
  while (!ended && Date.now() < deadline) {
    const version = await ask(url).catch(() => null);
    if (version !== null) return { url, release, pid, description: `${version}, ${where}` };
    await Promise.race([delay(100), end]);
  }
  const said = log().trim().slice(-1_000);
  await release();
  throw new Error(`did not start: ${said}`);
}
