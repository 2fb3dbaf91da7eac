import { once } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { connect } from "node:net";
import { text } from "node:stream/consumers";
import { setTimeout as delay } from "node:timers/promises";
import { ServiceBroker } from "moleculer";
import { freePort } from "../../tests/support/system.ts";
import { httpServerMixin } from "./http-server.ts";
import { openResponses } from "./metrics.ts";

/** Milliseconds: short, in the proportions that the gateway has. */
const SHORT = {
  timeout: 3_000,
  headersTimeout: 1_000,
  requestTimeout: 2_000,
  keepAliveTimeout: 5_000,
  connectionsCheckingInterval: 50,
};

let port: number;
let broker: ServiceBroker;
/** Requests whose headers have come. */
const begun: string[] = [];
/** Large answers that are over. */
let cut = 0;

beforeAll(async () => {
  port = await freePort();
  broker = new ServiceBroker({ logger: false });
  broker.createService({
    name: "api",
    mixins: [httpServerMixin("127.0.0.1", port, SHORT)],
    methods: {
      httpHandler(request: IncomingMessage, response: ServerResponse) {
        begun.push(request.url ?? "");
        if (request.url === "/large") response.once("close", () => cut++);
        const answer = request.url === "/large" ? "x".repeat(20 * 2 ** 20) : "served";
        request.resume().on("end", () => response.end(answer));
        request.on("error", () => {});
      },
    },
  });
  await broker.start();
});
afterAll(() => broker.stop());

/** Everything that comes back until the server closes the connection. */
const send = (text: string): Promise<string> =>
  new Promise((resolve, reject) => {
    let received = "";
    const socket = connect(port, "127.0.0.1", () => socket.write(text));
    socket.on("data", (chunk) => {
      received += chunk;
    });
    socket.on("error", reject).on("close", () => resolve(received));
  });

/** Now and then: asked without a pause, it would take a whole core from the tests beside this one. */
async function servesOthers(): Promise<string> {
  await delay(10);
  return (await fetch(`http://127.0.0.1:${port}/other`)).text();
}

test.each([
  ["headers", "GET /slow-headers HTTP/1.1\r\nHost: x\r\nX-Half: "],
  ["a body", "POST /slow-body HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nhalf"],
])("line 27: a hundred who don't finish %s are cut off, and others are served meanwhile", async (_, half) => {
  const closed: string[] = [];
  const slow = Array.from({ length: 100 }, () => send(half).then((answer) => closed.push(answer)));
  while (closed.length < slow.length) expect(await servesOthers()).toBe("served");
  for (const answer of closed) {
    expect(answer).toMatch(/^HTTP\/1\.1 408 /);
    expect(answer).toContain('"code":"invalid_request"');
  }
  expect(begun).not.toContain("/slow-headers");
});

test("line 27: readers who take nothing of their answer are cut off, and others are served meanwhile", async () => {
  const readers = Array.from({ length: 20 }, () => connect(port, "127.0.0.1").pause());
  for (const reader of readers) reader.on("error", () => {}).write("GET /large HTTP/1.1\r\nHost: x\r\n\r\n");
  while (cut < readers.length) expect(await servesOthers()).toBe("served");
  for (const reader of readers) reader.destroy();
});

test("of what comes on one connection without waiting for answers, one request at a time is begun, in order", async () => {
  begun.length = 0;
  const socket = connect(port, "127.0.0.1").pause();
  const paths = ["/large", "/second", "/third"];
  socket.write(paths.map((path) => `GET ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
  await once(socket, "readable");
  expect(await servesOthers()).toBe("served");
  expect(begun).toEqual(["/large", "/other"]);

  const answers = text(socket);
  while (begun.length < 4) await delay(5);
  expect(begun).toEqual(["/large", "/other", "/second", "/third"]);
  socket.end();
  expect((await answers).match(/served/g)).toHaveLength(2);
});

test("what was not begun when its connection ended is not done, and leaves nothing behind", async () => {
  begun.length = 0;
  const socket = connect(port, "127.0.0.1").pause();
  const over = cut;
  socket.write(["/large", "/never"].map((path) => `POST ${path} HTTP/1.1\r\nHost: x\r\n\r\n`).join(""));
  await once(socket, "readable");
  socket.destroy();
  while (cut === over) await delay(5);
  expect(await servesOthers()).toBe("served");
  expect(begun).toEqual(["/large", "/other"]);
  expect([...openResponses].map(({ req }) => req.url)).not.toContain("/never");
});

test("who sends more than may wait on one connection is cut off, and others are served", async () => {
  begun.length = 0;
  const socket = connect(port, "127.0.0.1").pause();
  socket.on("error", () => {});
  socket.write(
    `GET /large HTTP/1.1\r\nHost: x\r\n\r\n${"GET /never HTTP/1.1\r\nHost: x\r\n\r\n".repeat(101)}`,
  );
  await once(socket.resume(), "close");
  expect(await servesOthers()).toBe("served");
  expect(begun).toEqual(["/large", "/other"]);
});
