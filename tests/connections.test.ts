import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { buildPerson } from "./support/client.ts";
import { type RunningSystem, startOneProcess } from "./support/system.ts";

/** As many as a process may usually have at once, on either side. */
const MOST = 10_000;
/** Files that a process needs for itself. */
const OTHERS = 500;
/** Kilobytes of the gateway's memory that an idle connection may take. */
const EACH = 50;
/** Connections that are opened at a time. */
const AT_ONCE = 100;
/** Milliseconds: longer than the gateway gives a request's calls. */
const SLOW = 5_000;

const openFiles = Number(execFileSync("sh", ["-c", "ulimit -n"], { encoding: "utf8" })) || MOST;
const count = Math.min(MOST, openFiles - OTHERS);

let system: RunningSystem;
let url: URL;
beforeAll(async () => {
  system = await startOneProcess();
  url = new URL(system.baseUrl);
});
afterAll(() => system.stop());

/** Kilobytes that the process holds. */
const memory = (): number => {
  const { child } = system.processes[0] ?? {};
  return Number(execFileSync("ps", ["-o", "rss=", "-p", String(child?.pid)], { encoding: "utf8" }));
};

/** A connection that was served once and is kept open. */
async function openIdle(): Promise<Socket> {
  const socket = connect(Number(url.port), url.hostname);
  socket.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "data");
  return socket.on("error", () => {});
}

test("a body that comes slower than a request's calls may take is taken, and answered", async () => {
  const { http, tokens } = await buildPerson(system);
  const body = JSON.stringify({ title: "Typed on a train" });
  const headers = [
    "POST /tasks HTTP/1.1",
    "Host: x",
    `Authorization: Bearer ${tokens.accessToken}`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Connection: close",
  ];
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`${headers.join("\r\n")}\r\n\r\n${body.slice(0, 1)}`);
  await delay(SLOW);
  socket.write(body.slice(1));
  const answer = await text(socket);
  const { items } = (await http.get<{ items: unknown[] }>("/tasks")).body;

  expect(answer).toMatch(/^HTTP\/1\.1 201 /);
  expect(items).toHaveLength(1);
});

test(`${MOST} idle connections take a bounded memory each, and others are served`, async () => {
  for (let n = 0; n < AT_ONCE; n++) (await openIdle()).destroy();
  const before = memory();
  const idle: Socket[] = [];
  while (idle.length < count) idle.push(...(await Promise.all(Array.from({ length: AT_ONCE }, openIdle))));
  const taken = memory() - before;
  const answer = await fetch(new URL("/.well-known/jwks.json", url));
  for (const socket of idle) socket.destroy();

  expect(answer.status).toBe(200);
  expect(taken / idle.length).toBeLessThan(EACH);
}, 120_000);
