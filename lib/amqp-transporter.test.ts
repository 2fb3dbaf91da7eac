import { AmqpTransporter } from "./amqp-transporter.ts";

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
