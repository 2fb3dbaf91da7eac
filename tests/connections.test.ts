import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { buildPerson, type Person } from "./support/client.ts";
import { type RunningSystem, startOneProcess } from "./support/system.ts";

/** As many as a process may usually have at once, on either side. */
const MOST = 10_000;
/** Files that a process needs for itself. */
const OTHERS = 500;
/** Kilobytes of the gateway's memory that an idle connection may take. */
const EACH = 50;
/** Connections that are opened at a time. */
const AT_ONCE = 100;
/** Of a megabyte each, and how many of one person's the gateway lets come at a time. */
const BODIES = 300;
const TAKEN = 8;
/** Kilobytes of the gateway's memory that they may take together: those that it takes, and what comes with each connection. */
const BODIES_TAKE = 128 * 1024;
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

/** The head of a request to create a task, with a body that is still to come. */
const headOfCreate = ({ tokens }: Person, body: string): string =>
  [
    "POST /tasks HTTP/1.1",
    "Host: x",
    `Authorization: Bearer ${tokens.accessToken}`,
    "Content-Type: application/json",
    `Content-Length: ${body.length}`,
    "Connection: close",
    "\r\n",
  ].join("\r\n");

/** A connection that was served once and is kept open. */
async function openIdle(): Promise<Socket> {
  const socket = connect(Number(url.port), url.hostname);
  socket.write("GET /health/live HTTP/1.1\r\nHost: x\r\n\r\n");
  await once(socket, "data");
  return socket.on("error", () => {});
}

test("a body that comes slower than a request's calls may take is taken, and answered", async () => {
  const person = await buildPerson(system);
  const body = JSON.stringify({ title: "Typed on a train" });
  const socket = connect(Number(url.port), url.hostname);
  socket.write(`${headOfCreate(person, body)}${body.slice(0, 1)}`);
  await delay(SLOW);
  socket.write(body.slice(1));
  const answer = await text(socket);
  const { items } = (await person.http.get<{ items: unknown[] }>("/tasks")).body;

  expect(answer).toMatch(/^HTTP\/1\.1 201 /);
  expect(items).toHaveLength(1);
});

test("large bodies that come at once take a bounded memory, and others' are taken meanwhile", async () => {
  const [sender, other] = [await buildPerson(system), await buildPerson(system)];
  const body = JSON.stringify({ title: "x".repeat(2 ** 20 - 100) });
  // All but its last byte, so that none is done with.
  const text = `${headOfCreate(sender, body)}${body.slice(0, -1)}`;
  const before = memory();
  const refused: string[] = [];
  const { promise: allAreRefused, resolve } = Promise.withResolvers<void>();
  const sockets = Array.from({ length: BODIES }, () => {
    const socket = connect(Number(url.port), url.hostname).on("error", () => {});
    socket.write(text);
    return socket.on("data", (answer) => {
      refused.push(String(answer));
      if (refused.length === BODIES - TAKEN) resolve();
    });
  });
  await allAreRefused;
  const taken = memory() - before;
  const created = await other.http.post("/tasks", { title: "Mine", description: "word ".repeat(3_999) });
  for (const socket of sockets) socket.destroy();

  expect(created.status).toBe(201);
  expect(taken).toBeLessThan(BODIES_TAKE);
  expect(refused).toHaveLength(BODIES - TAKEN);
  for (const answer of refused) expect(answer).toMatch(/^HTTP\/1\.1 429 .*\r\nRetry-After: 2\r\n/s);
}, 60_000);

test("answers that their client does not take are sixteen of one person's, and others are served", async () => {
  const [reader, other] = [await buildPerson(system), await buildPerson(system)];
  // In UTF-8 six megabytes a page: more than the system keeps for a client.
  const operations = Array.from({ length: 10 }, () => ({
    op: "create",
    task: { title: "Long", description: "中".repeat(19_500) },
  }));
  for (let n = 0; n < 10; n++)
    expect((await reader.http.post("/tasks/bulk", { operations })).status).toBe(200);
  const head = `GET /tasks?limit=100 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${reader.tokens.accessToken}\r\n\r\n`;
  const sockets: Socket[] = [];
  // One after the other: all at once, a hundred megabytes, take a slow machine longer than a request may.
  while (sockets.length < 16) {
    const socket = connect(Number(url.port), url.hostname).on("error", () => {});
    sockets.push(socket);
    socket.write(head);
    const [answer] = await once(socket, "data");
    socket.pause();
    expect(String(answer)).toMatch(/^HTTP\/1\.1 200 /);
  }

  expect(await reader.http.get("/tasks")).toMatchObject({ status: 429, body: { code: "too_many_requests" } });
  expect((await other.http.get("/tasks")).status).toBe(200);
  expect((await reader.http.post("/tasks", { title: "Written" })).status).toBe(201);
  for (const socket of sockets) socket.destroy();
  expect((await reader.http.get("/tasks?limit=1")).status).toBe(200);
}, 60_000);

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
