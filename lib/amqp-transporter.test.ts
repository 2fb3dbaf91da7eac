import { EventEmitter, on } from "node:events";
import { ServiceBroker } from "moleculer";
import { AMQP_URL, newNamespace } from "../tests/support/broker.ts";
import { AmqpTransporter } from "./amqp-transporter.ts";
import { pinoOptions } from "./logs.ts";

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

describe("what the log says of RabbitMQ", () => {
  /** A node with that RabbitMQ, and the lines of its log as they are written. */
  function buildNode(url: string) {
    const lines = new EventEmitter();
    const transporter = new AmqpTransporter({ url });
    const destination = { write: (line: string) => void lines.emit("line", line) };
    const broker = new ServiceBroker({
      namespace: newNamespace(),
      transporter,
      logger: { type: "Pino", options: { pino: { options: pinoOptions, destination } } },
    });
    const lineWith = async (text: string): Promise<string> => {
      for await (const [line] of on(lines, "line")) if (String(line).includes(text)) return String(line);
      throw new Error("no line");
    };
    return { broker, transporter, lineWith };
  }

  it("is why there is no connection, without the password", async () => {
    const { transporter, lineWith } = buildNode("amqp://ada:hunter2@127.0.0.1:1");
    const line = lineWith("RabbitMQ gives no connection.");
    const connecting = transporter.connect();
    expect(JSON.parse(await line)).toMatchObject({ err: { code: "ECONNREFUSED" } });
    expect(await line).not.toContain("hunter2");
    await transporter.disconnect();
    await connecting;
  });

  it("is that it knows no such user, without the password", async () => {
    const url = new URL(AMQP_URL);
    url.password = "hunter2";
    const { transporter, lineWith } = buildNode(url.href);
    const line = lineWith("RabbitMQ gives no connection.");
    const connecting = transporter.connect();
    expect(JSON.parse(await line)).toMatchObject({
      err: { message: expect.stringContaining("ACCESS_REFUSED") },
    });
    expect(await line).not.toContain("hunter2");
    await transporter.disconnect();
    await connecting;
  });

  it("is why a connection fails, and what it is short of", async () => {
    const { broker, transporter, lineWith } = buildNode(AMQP_URL);
    await broker.start();
    const failed = lineWith("RabbitMQ failed.");
    transporter.connection?.emit("error", new Error("CONNECTION_FORCED"));
    expect(JSON.parse(await failed)).toMatchObject({ err: { message: "CONNECTION_FORCED" } });
    const blocked = lineWith("RabbitMQ takes no messages");
    transporter.connection?.emit("blocked", "low on memory");
    expect(JSON.parse(await blocked)).toMatchObject({ reason: "low on memory" });
    await broker.stop();
  });
});
