import { once } from "node:events";
import { createServer } from "node:net";
import { openDatabase } from "./database.ts";

/** A message of PostgreSQL's protocol: its type, its length, its content. */
function message(type: string, content: Buffer): Buffer {
  const length = Buffer.alloc(4);
  length.writeInt32BE(content.length + 4);
  return Buffer.concat([Buffer.from(type), length, content]);
}

const AUTHENTICATED = message("R", Buffer.from([0, 0, 0, 0]));
const READY = message("Z", Buffer.from("I"));
const FAREWELL = message("E", Buffer.from("SFATAL\0C57P01\0Mterminating connection\0\0"));

describe("a database", () => {
  it("that says goodbye in the same breath as hello refuses the query, and the process lives on", async () => {
    const server = createServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => socket.end(Buffer.concat([AUTHENTICATED, READY, FAREWELL])));
    }).listen(0, "127.0.0.1");
    await once(server, "listening");
    const address = server.address();
    const port = typeof address === "object" ? address?.port : undefined;
    const database = openDatabase(`postgres://postgres@127.0.0.1:${port}/postgres`);
    const uncaught: Error[] = [];
    const note = (error: Error) => uncaught.push(error);
    process.on("uncaughtException", note);

    await expect(database.query("SELECT 1")).rejects.toThrow();
    await new Promise((resolve) => setImmediate(resolve));

    process.off("uncaughtException", note);
    expect(uncaught).toEqual([]);
    await database.close();
    await new Promise((resolve) => server.close(resolve));
  });
});
