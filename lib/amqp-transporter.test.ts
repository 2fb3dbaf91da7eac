import { Writable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";
import { AmqpTransporter, writeOncePerTurn } from "./amqp-transporter.ts";

test("what is written in one turn of the event loop is sent at once and in order, and each turn by itself", async () => {
  const sent: string[] = [];
  const socket = new Writable({
    write(chunk, _encoding, done) {
      sent.push(String(chunk));
      done();
    },
    writev(chunks, done) {
      sent.push(chunks.map(({ chunk }) => String(chunk)).join(""));
      done();
    },
  });
  writeOncePerTurn(socket);
  for (const part of ["a", "b", "c"]) socket.write(part);
  await Promise.resolve().then(() => socket.write("d"));
  expect(sent).toEqual([]);
  await nextTurn();
  expect(sent).toEqual(["abcd"]);
  socket.write("e");
  await nextTurn();
  expect(sent).toEqual(["abcd", "e"]);
});

describe("the addresses of brokers", () => {
  it("are tried in their order, each with a heartbeat of five seconds unless it has another", () => {
    const url = "amqp://u:p%2F@one:5672;amqps://u:p@two/vhost?heartbeat=30;;amqp://[::1]";
    expect(new AmqpTransporter({ url }).opts.url).toEqual([
      "amqp://u:p%2F@one:5672?heartbeat=5",
      "amqps://u:p@two/vhost?heartbeat=30",
      "amqp://[::1]?heartbeat=5",
    ]);
  });

  it("may be a list", () => {
    const url = ["amqp://one", "amqp://two"];
    expect(new AmqpTransporter({ url }).opts.url).toEqual([
      "amqp://one?heartbeat=5",
      "amqp://two?heartbeat=5",
    ]);
  });
});

describe("a queue that RabbitMQ ends", () => {
  it("ends the connection, so that another is made", async () => {
    const close = jest.fn(async () => {});
    const transporter = new AmqpTransporter({ url: "amqp://one" });
    transporter.connection = { close };
    await transporter._consumeCB("REQ", true)(null);
    expect(close).toHaveBeenCalledTimes(1);
  });
});
