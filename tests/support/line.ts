import { once } from "node:events";
import { connect, createServer, type Socket } from "node:net";

export interface Line {
  /** What to connect to, instead of the server itself. */
  url: string;
  /** As when a cable is pulled: whoever is connected no longer is, and nobody can be. */
  cut(): void;
  restore(): Promise<void>;
  /** Nothing goes through the connections that there are, and nobody is told; new ones work. */
  silence(): void;
}

const DEFAULT_PORTS: Record<string, number> = { "amqp:": 5672, "postgres:": 5432, "postgresql:": 5432 };

/**
 * A line to RabbitMQ or PostgreSQL that can be cut.
 *
 * @param serverUrl of the server, on this machine
 */
export async function openLine(serverUrl: string): Promise<Line> {
  const target = new URL(serverUrl);
  const sockets = new Set<Socket>();
  const server = createServer((near) => {
    const far = connect(Number(target.port || DEFAULT_PORTS[target.protocol]), target.hostname);
    near.pipe(far).pipe(near);
    hold(near, far);
    hold(far, near);
  });
  function hold(socket: Socket, other: Socket): void {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => {
      sockets.delete(socket);
      other.destroy();
    });
  }
  const listen = async (port: number): Promise<void> => {
    server.listen(port, "127.0.0.1");
    await once(server, "listening");
  };
  await listen(0);
  const address = server.address();
  if (typeof address !== "object" || address === null) throw new Error("no address");
  return {
    url: Object.assign(new URL(serverUrl), { hostname: "127.0.0.1", port: String(address.port) }).href,
    silence(): void {
      for (const socket of sockets) socket.unpipe().pause();
    },
    cut(): void {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
    async restore(): Promise<void> {
      if (!server.listening) await listen(address.port);
    },
  };
}
