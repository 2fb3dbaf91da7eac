import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

/** A way to a server that a test can break: a network that fails. */
export interface Line {
  /** What to connect to, instead of the server itself. */
  url: string;
  /** Ends what is connected. Who connects again may. */
  cut(): void;
  /** Ends the next connection when the server has sent so many pieces. */
  cutAfter(pieces: number): void;
  /** Ends what is connected and takes nobody, as when a cable is pulled. */
  pull(): void;
  plugIn(): Promise<void>;
  /**
   * Nothing comes through the connections that there are, and nobody is told; new ones work.
   *
   * @param what only what clients send, when what they receive still comes
   */
  silence(what?: "all" | "sent"): void;
  /** The same, as soon as somebody says this. */
  silenceAt(words: string): void;
  /** What was kept back comes, and all that follows. */
  speak(): void;
  /** Milliseconds that everything takes in each direction, from now on. */
  slow(ms: number): void;
  /** Resolves when a client next hangs up. */
  left(): Promise<void>;
  close(): void;
}

const DEFAULT_PORTS: Record<string, number> = { "amqp:": 5672, "postgres:": 5432, "postgresql:": 5432 };

/** @param serverUrl of RabbitMQ or PostgreSQL, on this machine */
export async function openLine(serverUrl: string): Promise<Line> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  /** What silent connections have brought. */
  const kept = new Map<Socket, { into: Socket; chunks: Buffer[] }>();
  const others = new Map<Socket, Socket>();
  const clients = new WeakSet<Socket>();
  let delay = 0;
  let piecesOfNext = Number.POSITIVE_INFINITY;
  let onLeft = (): void => {};
  let lastWords: string | undefined;

  function carry(from: Socket, into: Socket): void {
    sockets.add(from.setNoDelay(true));
    others.set(from, into);
    let free = 0;
    from.on("data", (chunk) => {
      if (lastWords !== undefined && chunk.includes(lastWords)) {
        lastWords = undefined;
        silence();
      }
      const silent = kept.get(from);
      if (silent) {
        silent.chunks.push(chunk);
        return;
      }
      // In order, also when the line has just become faster.
      free = Math.max(free, performance.now() + delay);
      const wait = free - performance.now();
      if (wait <= 0) into.write(chunk);
      else setTimeout(() => into.write(chunk), wait);
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      others.delete(from);
      if (!kept.delete(from)) into.destroy();
    });
  }

  const server = createServer((near) => {
    const far = connect(Number(target.port || DEFAULT_PORTS[target.protocol]), target.hostname);
    carry(near, far);
    carry(far, near);
    clients.add(near);
    near.once("close", () => onLeft());
    let pieces = piecesOfNext;
    piecesOfNext = Number.POSITIVE_INFINITY;
    far.on("data", () => {
      if (--pieces > 0) return;
      near.end();
      far.destroy();
    });
  });
  const listen = async (port: number): Promise<number> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    if (typeof address !== "object" || address === null) throw new Error("no address");
    return address.port;
  };
  const port = await listen(0);

  function cut(): void {
    for (const socket of sockets) socket.destroy();
  }
  function silence(what = "all"): void {
    for (const [from, into] of others) {
      if (!kept.has(from) && (what === "all" || clients.has(from))) kept.set(from, { into, chunks: [] });
    }
  }
  function close(): void {
    server.close();
    cut();
  }
  return {
    url: Object.assign(new URL(serverUrl), { hostname: "127.0.0.1", port: String(port) }).href,
    cut,
    cutAfter(pieces) {
      piecesOfNext = pieces;
    },
    pull: close,
    async plugIn() {
      if (!server.listening) await listen(port);
    },
    silence,
    silenceAt(words) {
      lastWords = words;
    },
    speak() {
      for (const { into, chunks } of kept.values()) for (const chunk of chunks) into.write(chunk);
      kept.clear();
    },
    slow(ms) {
      delay = ms;
    },
    left: () =>
      new Promise((resolve) => {
        onLeft = resolve;
      }),
    close,
  };
}
