import { once } from "node:events";
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { connect, type Socket } from "node:net";
import { createTurns } from "./turns.ts";

const [ADA, BOB] = ["ada", "bob"];
/** More than the system takes for a client that does not. */
const PAGE = Buffer.alloc(16 * 2 ** 20);

let server: Server;
let port: number;
let turns: ReturnType<typeof createTurns>;
let begun: string[];
let refused: string[];
beforeEach(async () => {
  [begun, refused] = [[], []];
  turns = createTurns({ clock: () => performance.now(), onRefused: (kind) => refused.push(kind) });
  server = createServer(serve);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = Number(Object(server.address()).port);
});
afterEach(async () => {
  server.closeAllConnections();
  await new Promise((resolve) => server.close(resolve));
});

function serve(request: IncomingMessage, response: ServerResponse): void {
  const [, userId = "", size] = String(request.url).split("/");
  const answer = async (): Promise<void> => {
    begun.push(userId);
    if (size === "never") return new Promise(() => {});
    response.end(size === "small" ? "page" : PAGE);
  };
  const kind = request.method === "GET" ? "read" : "write";
  turns.inTurn({ userId, kind }, response, answer).catch(({ code }) => response.writeHead(code).end());
}

const read = (path: string): Socket => send("GET", path);
function send(method: string, path: string): Socket {
  const socket = connect(port, "127.0.0.1").on("error", () => {});
  socket.write(`${method} ${path} HTTP/1.1\r\nHost: x\r\n\r\n`);
  return socket;
}

/** Until the server has begun so many. */
async function whenBegun(count: number): Promise<void> {
  while (begun.length < count) await new Promise((resolve) => setTimeout(resolve, 5));
}

test("sixteen answers of one person are on their way at a time, until their clients have taken them", async () => {
  const sockets = Array.from({ length: 16 }, () => read(`/${ADA}/large`).pause());
  await whenBegun(16);
  const another = read(`/${ADA}/small`);
  const others = [read(`/${BOB}/small`), send("DELETE", `/${ADA}/small`)];
  for (const other of others) expect(String(await once(other, "data"))).toContain("200 OK");
  expect(begun).toHaveLength(18);

  sockets[0]?.destroy();
  expect(String(await once(another, "data"))).toContain("200 OK");
  for (const socket of [...sockets, another, ...others]) socket.destroy();
  expect(refused).toEqual([]);
});

test("whoever waits for longer than two seconds for such is told so", async () => {
  const sockets = Array.from({ length: 16 }, () => read(`/${ADA}/large`).pause());
  await whenBegun(16);
  const another = read(`/${ADA}/small`);
  expect(String(await once(another, "data"))).toContain("429 Too Many Requests");
  expect(refused).toEqual(["read"]);
  for (const socket of [...sockets, another]) socket.destroy();
});

test("whoever waits for longer than two seconds while no answer comes is not told that it is too much", async () => {
  const sockets = Array.from({ length: 16 }, () => read(`/${ADA}/never`));
  await whenBegun(16);
  const another = read(`/${ADA}/small`);
  expect(String(await once(another, "data"))).toContain("503 Service Unavailable");
  expect(refused).toEqual([]);
  for (const socket of [...sockets, another]) socket.destroy();
});
