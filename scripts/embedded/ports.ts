import { createServer, type Server } from "node:net";
import { codeOf, refusal } from "./refusal.ts";

/**
 * Checks that every port can be opened, by opening all of them at once, so two equal ones are found as well.
 *
 * @param ports numbers by the name of the variable that sets them
 */
export async function requireFreePorts(host: string, ports: Record<string, number>): Promise<void> {
  const servers: Server[] = [];
  try {
    for (const [variable, port] of Object.entries(ports)) {
      const server = createServer();
      servers.push(server);
      await listen(server, host, port).catch((error) => {
        throw explainPort(error, host, variable, port);
      });
    }
  } finally {
    await Promise.all(servers.map(close));
  }
}

/** A port that was free a moment ago, on the loopback address. */
export async function freePort(): Promise<number> {
  const server = createServer();
  await listen(server, "127.0.0.1", 0);
  const address = server.address();
  await close(server);
  if (address === null || typeof address === "string") throw new Error("the system gave no port");
  return address.port;
}

function explainPort(error: unknown, host: string, variable: string, port: number): unknown {
  const another = `choose another: ${variable}=${port < 60_000 ? port + 1000 : port - 1000} npm start`;
  switch (codeOf(error)) {
    case "EADDRINUSE":
      return refusal(
        `Port ${port} (${variable}) is taken by another program. Stop that program, or ${another}`,
      );
    case "EACCES":
      return refusal(`This user may not open port ${port} (${variable}). Use 1024 or more, or ${another}`);
    case "EADDRNOTAVAIL":
    case "ENOTFOUND":
    case "EAI_AGAIN":
      return refusal(
        `HOST is ${host}, which is not an address of this machine. Leave it unset for all addresses.`,
      );
    default:
      return error;
  }
}

const listen = (server: Server, host: string, port: number): Promise<void> =>
  new Promise((resolve, reject) => {
    server.once("error", reject).listen({ host, port, exclusive: true }, resolve);
  });

const close = (server: Server): Promise<void> =>
  new Promise((resolve) => {
    server.close(() => resolve());
  });
