import { once } from "node:events";
import { createServer, get, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { setImmediate as nextTurn } from "node:timers/promises";
import { problem, unavailable } from "../../lib/errors.ts";
import { createEventStreams } from "./event-streams.ts";

/** Milliseconds; long enough to be out of the way where a test is not about them. */
const NEVER = 1_000_000;

interface Fake {
  timing?: { heartbeat: number; patience: number };
  limits?: { perUser: number; total: number };
  /** What tasks answers instead of changes, one call after the other. */
  failures?: (() => Promise<never>)[];
}

const servers: Server[] = [];
afterEach(() => {
  for (const server of servers.splice(0)) server.close().closeAllConnections();
});

/** A gateway's streams over a log in memory, behind an HTTP server. */
async function start({ timing = { heartbeat: NEVER, patience: NEVER }, limits, failures = [] }: Fake = {}) {
  const log: { seq: number; op: string; text: string }[] = [];
  const reads: { since: number; limit: number; passport: unknown }[] = [];
  let verifications = 0;
  /** Whether calls may be given to another node when one does not answer. */
  const seen = new Set<string>();
  let verify = async (): Promise<object> => ({
    user: { id: "ada" },
    session: { id: "s" },
    passport: "fresh",
  });
  /** What reads wait for. */
  let gate = Promise.resolve();

  async function answer(action: string, params: object, meta: object): Promise<unknown> {
    if (action === "auth.verify") {
      verifications++;
      return verify();
    }
    const { since, limit } = { since: 0, limit: 0, ...params };
    reads.push({ since, limit, passport: Reflect.get(meta, "passport") });
    await gate;
    const failure = failures.shift();
    if (failure) return failure();
    return { changes: log.slice(since, since + limit), hasMore: log.length > since + limit };
  }

  const streams = createEventStreams({
    // The gateway's own call is typed by its caller; here, what is answered is what it expects.
    async call({ action, params, meta, again }) {
      seen.add(again);
      return JSON.parse(JSON.stringify(await answer(action, params, meta)));
    },
    timing,
    ...(limits ? { limits } : {}),
  });
  const responses: ServerResponse[] = [];
  const refused: unknown[] = [];
  const server = createServer((request, response) => {
    responses.push(response);
    const [user = "", session] = (request.url ?? "").slice(1).split("/");
    try {
      const reader = { user: { id: user }, session: session ? { id: session } : null, passport: "first" };
      streams.open(response, { reader, token: "token", position: 0 });
    } catch (error) {
      refused.push(error);
      response.destroy();
    }
  });
  servers.push(server);
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  const port = typeof address === "object" ? address?.port : 0;

  return {
    streams,
    log,
    reads,
    refused,
    verifications: () => verifications,
    again: seen,
    verifyWith: (next: () => Promise<object>) => {
      verify = next;
    },
    holdReads: () => {
      const { promise, resolve } = Promise.withResolvers<void>();
      gate = promise;
      return resolve;
    },
    until: async (satisfied: () => boolean) => {
      while (!satisfied()) await nextTurn();
    },
    /** The gateway's end of the first stream. */
    response: () => {
      const [response] = responses;
      if (!response) throw new Error("There is no stream.");
      return response;
    },
    write: (count: number, text = "") => {
      for (let n = 0; n < count; n++) log.push({ seq: log.length + 1, op: "update", text });
    },
    /** Opens a stream, and reads it unless told otherwise. */
    connect: async (path = "/ada/s") => {
      const request = get({ port, path, agent: false });
      const [response]: IncomingMessage[] = await once(request, "response");
      if (!response) throw new Error("no response");
      return reader(response);
    },
  };
}

function reader(response: IncomingMessage) {
  let text = "";
  /** What may go on in the next chunk. */
  let rest = "";
  const seqs: number[] = [];
  let look = (): void => {};
  const closed = new Promise<void>((resolve) => {
    response.once("close", resolve);
  });
  response.on("error", () => {});
  response.setEncoding("utf8");
  const self = {
    text: () => text,
    seqs: () => seqs,
    read: () => {
      response.on("data", (chunk: string) => {
        text += chunk;
        const lines = (rest + chunk).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) if (line.startsWith("data: ")) seqs.push(JSON.parse(line.slice(6)).seq);
        look();
      });
      return self;
    },
    until: (satisfied: () => boolean) =>
      new Promise<void>((resolve) => {
        look = () => {
          if (satisfied()) resolve();
        };
        look();
      }),
    closed,
    cut: () => response.destroy(),
  };
  return self;
}

const upTo = (count: number): number[] => Array.from({ length: count }, (_, n) => n + 1);

describe("a stream", () => {
  it("writes what a hint is about, in pages, with the fresh passport", async () => {
    const gateway = await start();
    const stream = (await gateway.connect()).read();
    await gateway.until(() => gateway.reads.length === 1 && gateway.verifications() === 1);
    gateway.write(120);
    gateway.streams.changed("ada");
    await stream.until(() => stream.seqs().length === 120);

    expect(stream.seqs()).toEqual(upTo(120));
    expect(gateway.reads.slice(1).map(({ since }) => since)).toEqual([0, 50, 100]);
    expect(gateway.reads.at(-1)?.passport).toBe("fresh");
    expect([...gateway.again]).toEqual(["always"]);
  });

  it("looks once more, and once only, for all hints that come while it looks", async () => {
    const gateway = await start();
    const release = gateway.holdReads();
    const stream = (await gateway.connect()).read();
    await gateway.until(() => gateway.reads.length === 1);
    for (let n = 0; n < 10; n++) gateway.streams.changed("ada");
    gateway.write(1);
    release();
    await stream.until(() => stream.seqs().length === 1);
    await gateway.until(() => gateway.reads.length === 2);
    // Whatever was asked for before this is there when this is.
    gateway.write(1);
    gateway.streams.changed("ada");
    await stream.until(() => stream.seqs().length === 2);
    expect(gateway.reads.length).toBe(3);
  });

  it("that was ended is written to no more, while its reader takes its time for the end", async () => {
    const gateway = await start({ timing: { heartbeat: 10, patience: 200 } });
    await gateway.connect();
    const response = gateway.response();
    const errors: Error[] = [];
    response.on("error", (error) => errors.push(error));
    await gateway.until(() => gateway.reads.length === 1);
    while (response.writableLength === 0) {
      gateway.write(1, "x".repeat(10_000));
      gateway.streams.changed("ada");
      await nextTurn();
    }
    const closed = once(response, "close");
    gateway.streams.close();
    await closed;
    expect(response.writableEnded).toBe(true);
    expect(errors).toEqual([]);
  });

  it("shares a look with the person's other streams at the same place", async () => {
    const gateway = await start();
    const streams = [];
    for (const path of ["/ada/s1", "/ada/s2", "/ada"]) streams.push((await gateway.connect(path)).read());
    await gateway.until(() => gateway.reads.length === 3);
    gateway.write(2);
    gateway.streams.changed("ada");
    for (const stream of streams) await stream.until(() => stream.seqs().length === 2);
    expect(gateway.reads.length).toBe(4);
  });

  it("does not share a refusal", async () => {
    const refuse = async (): Promise<never> => {
      throw problem("insufficient_scope", "No.");
    };
    const failures: (() => Promise<never>)[] = [];
    const gateway = await start({ failures });
    const [one, other] = [(await gateway.connect("/ada")).read(), (await gateway.connect()).read()];
    await gateway.until(() => gateway.reads.length === 2);
    failures.push(refuse);
    gateway.write(1);
    gateway.streams.changed("ada");
    await one.closed;
    await other.until(() => other.seqs().length === 1);
  });

  it("does not share a look that began before the hint", async () => {
    const gateway = await start();
    const [one, other] = [(await gateway.connect()).read(), (await gateway.connect()).read()];
    await gateway.until(() => gateway.reads.length === 2);
    const release = gateway.holdReads();
    gateway.streams.changed("ada");
    await gateway.until(() => gateway.reads.length === 3);
    gateway.write(1);
    gateway.streams.changed("ada");
    release();
    await Promise.all([one, other].map((stream) => stream.until(() => stream.seqs().length === 1)));
  });

  it("is not looked for when somebody else writes", async () => {
    const gateway = await start();
    const stream = (await gateway.connect()).read();
    await gateway.until(() => gateway.reads.length === 1);
    gateway.streams.changed("bob");
    gateway.write(1);
    gateway.streams.changed("ada");
    await stream.until(() => stream.seqs().length === 1);
    expect(gateway.reads.length).toBe(2);
  });

  it("comments at each heartbeat, and finds what nobody told of", async () => {
    const gateway = await start({ timing: { heartbeat: 20, patience: NEVER } });
    const stream = (await gateway.connect()).read();
    await stream.until(() => stream.text().split(":\n\n").length > 3);
    gateway.write(1);
    await stream.until(() => stream.seqs().length === 1);
    expect(gateway.verifications()).toBeGreaterThan(2);
  });

  it("outlives an outage of tasks and of auth, and goes on where it was", async () => {
    const outage = async (): Promise<never> => {
      throw unavailable();
    };
    const gateway = await start({ failures: [outage, outage] });
    gateway.verifyWith(outage);
    const stream = (await gateway.connect()).read();
    await gateway.until(() => gateway.reads.length === 1 && gateway.verifications() === 1);
    gateway.write(1);
    gateway.streams.changed("ada");
    gateway.streams.revoked({ kind: "session", id: "s" });
    await gateway.until(() => gateway.reads.length === 2 && gateway.verifications() === 2);
    gateway.write(1);
    gateway.streams.changed("ada");
    await stream.until(() => stream.seqs().length === 2);
    expect(stream.seqs()).toEqual([1, 2]);
  });

  it("ends when auth no longer knows its token, also while tasks does not answer", async () => {
    const gateway = await start();
    gateway.holdReads();
    const stream = (await gateway.connect()).read();
    await gateway.until(() => gateway.reads.length === 1 && gateway.verifications() === 1);
    gateway.verifyWith(async () => {
      throw problem("invalid_token", "Gone.");
    });
    gateway.streams.revoked({ kind: "session", id: "s" });
    await stream.closed;
  });

  it.each(["insufficient_scope", "since_expired"] as const)("ends when tasks says %s", async (code) => {
    const refuse = async (): Promise<never> => {
      throw problem(code, "No.");
    };
    const gateway = await start({ failures: [refuse] });
    await (await gateway.connect()).read().closed;
  });

  it("whose client went away asks for nothing any more", async () => {
    const gateway = await start({ limits: { perUser: 1, total: 10 } });
    const stream = (await gateway.connect()).read();
    await gateway.until(() => gateway.reads.length === 1);
    const response = gateway.response();
    const gone = once(response, "close");
    stream.cut();
    await gone;
    gateway.streams.changed("ada");
    gateway.streams.check();

    const other = (await gateway.connect()).read();
    await other.until(() => other.text().includes("\n\n"));
    expect(gateway.refused).toEqual([]);
    expect(gateway.reads.length).toBe(2);
  });
});

describe("a reader that does not read", () => {
  const CHANGE = 20_000;
  const COUNT = 1_000;

  it("makes the gateway hold no more than a connection does, and gets all when it reads again", async () => {
    const gateway = await start();
    const stream = await gateway.connect();
    await gateway.until(() => gateway.reads.length === 1);
    gateway.write(COUNT, "x".repeat(CHANGE));
    const response = gateway.response();
    let most = 0;
    const write = response.write.bind(response);
    response.write = (chunk: string) => {
      const taken = write(chunk);
      most = Math.max(most, response.writableLength);
      return taken;
    };
    gateway.streams.changed("ada");
    // It stands still when a look finds the connection full.
    await gateway.until(() => response.writableNeedDrain);
    for (let n = 0; n < 100; n++) gateway.streams.changed("ada");
    const readsWhileStuck = gateway.reads.length;
    for (let n = 0; n < 100; n++) gateway.streams.check();

    stream.read();
    await stream.until(() => stream.seqs().length === COUNT);
    expect(stream.seqs()).toEqual(upTo(COUNT));
    expect(most).toBeLessThan(response.writableHighWaterMark + 2 * CHANGE);
    expect(readsWhileStuck).toBeLessThan(COUNT / 2);
    // No change was asked for many times over.
    expect(gateway.reads.reduce((sum, { limit }) => sum + limit, 0)).toBeLessThan(4 * COUNT);
  });

  it("is cut off after a while, and gets the rest when it comes back", async () => {
    const gateway = await start({ timing: { heartbeat: NEVER, patience: 50 } });
    gateway.write(COUNT, "x".repeat(CHANGE));
    await gateway.connect();
    const response = gateway.response();
    await once(response, "close");
    expect(response.writableFinished).toBe(false);
  });

  it("is cut off at once when it may not read any more", async () => {
    const gateway = await start();
    gateway.write(COUNT, "x".repeat(CHANGE));
    await gateway.connect();
    const response = gateway.response();
    await gateway.until(() => response.writableNeedDrain === true);
    gateway.verifyWith(async () => {
      throw problem("invalid_token", "Gone.");
    });
    gateway.streams.revoked({ kind: "user", id: "ada" });
    await once(response, "close");
  });
});

describe("a hint that somebody may do less", () => {
  it.each([
    [{ kind: "session", id: "s1" }, ["/ada/s1"]],
    [{ kind: "user", id: "ada" }, ["/ada/s1", "/ada/s2", "/ada"]],
    // Which token a stream was opened with is not the gateway's to know.
    [{ kind: "api_token", id: "t" }, ["/ada", "/bob"]],
    [{ kind: "any", id: "" }, ["/ada/s1", "/ada/s2", "/ada", "/bob", "/bob/s3"]],
    [{ kind: "session", id: "s9" }, []],
  ])("%j makes auth look at the streams concerned", async (hint, concerned) => {
    const gateway = await start();
    const paths = ["/ada/s1", "/ada/s2", "/ada", "/bob", "/bob/s3"];
    const opened: [string, Awaited<ReturnType<typeof gateway.connect>>][] = [];
    for (const path of paths) opened.push([path, (await gateway.connect(path)).read()]);
    await gateway.until(() => gateway.verifications() === paths.length);
    gateway.verifyWith(async () => {
      throw problem("invalid_token", "Gone.");
    });
    gateway.streams.revoked(hint);
    await Promise.all(opened.filter(([path]) => concerned.includes(path)).map(([, stream]) => stream.closed));
    expect(gateway.verifications()).toBe(paths.length + concerned.length);
  });
});

describe("the streams of a gateway", () => {
  it("are bounded for each person and altogether", async () => {
    const gateway = await start({ limits: { perUser: 2, total: 3 } });
    for (const path of ["/ada/s", "/ada", "/bob"]) (await gateway.connect(path)).read();
    for (const path of ["/ada/s", "/bob"]) await expect(gateway.connect(path)).rejects.toThrow();
    expect(gateway.refused).toMatchObject([{ type: "too_many_requests" }, { type: "unavailable" }]);
  });

  it("all end when it stops, and none begins", async () => {
    const gateway = await start();
    const streams = [(await gateway.connect()).read(), (await gateway.connect("/bob")).read()];
    gateway.streams.close();
    await Promise.all(streams.map(({ closed }) => closed));
    await expect(gateway.connect()).rejects.toThrow();
    expect(gateway.refused).toMatchObject([{ type: "unavailable" }]);
  });
});
