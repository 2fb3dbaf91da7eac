import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface SlowLine {
  /** What to connect to, instead of the server itself. */
  url: string;
  /** Milliseconds that everything takes in each direction, from now on. */
  slow(ms: number): void;
  /** Cuts what is connected now; who connects again may. */
  cut(): void;
  close(): void;
}

/** A line to a server on this machine, that can be slow or cut. */
export async function openSlowLine(to: string, defaultPort: number): Promise<SlowLine> {
  const target = new URL(to);
  const sockets = new Set<Socket>();
  let delay = 0;

  function carry(from: Socket, into: Socket): void {
    sockets.add(from.setNoDelay(true));
    let free = 0;
    from.on("data", (chunk) => {
      // In order, also when the line has just become faster.
      free = Math.max(free, performance.now() + delay);
      const wait = free - performance.now();
      if (wait <= 0) into.write(chunk);
      else setTimeout(() => into.write(chunk), wait);
    });
    from.on("error", () => {});
    from.on("close", () => {
      sockets.delete(from);
      into.destroy();
    });
  }

  const server = createServer((near) => {
    const far = connect(Number(target.port || defaultPort), target.hostname);
    carry(near, far);
    carry(far, near);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  const cut = (): void => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: Object.assign(new URL(to), { port: String(address.port) }).href,
    slow(ms) {
      delay = ms;
    },
    cut,
    close() {
      server.close();
      cut();
    },
  };
}
