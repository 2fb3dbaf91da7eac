import { Duplex, type Writable } from "node:stream";
import { Transporters } from "moleculer";

type Options = ConstructorParameters<typeof Transporters.AMQP>[0];

/** RabbitMQ's user that published a message, by its content and by the packet read from it. */
const publishers = new WeakMap<object, unknown>();

/** Seconds. A broker that says nothing for two of them, such as one whose machine was lost, is left for another. */
const HEARTBEAT = 5;

/** The addresses of the brokers in an AMQP_URL, each with a heartbeat unless it has one. */
const withHeartbeat = (urls: string): string[] =>
  urls
    .split(";")
    .filter(Boolean)
    .map((text) => {
      const url = new URL(text);
      if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", String(HEARTBEAT));
      return url.href;
    });

/** Who published a packet, as RabbitMQ has checked it; `undefined` when the message does not say. */
export const publisherOf = (packet: object): unknown => publishers.get(packet);

/**
 * Moleculer's AMQP transporter, which says with each message which of RabbitMQ's users sends it, and keeps what
 * others say. RabbitMQ lets nobody give another user's name ("validated user id").
 */
export class AmqpTransporter extends Transporters.AMQP {
  /** @param user that of the URL; without it, messages say nothing */
  constructor(options: Exclude<Options, string | undefined>, user?: string) {
    super({
      ...options,
      ...(user === undefined ? {} : { messageOptions: { ...options.messageOptions, userId: user } }),
      url: [options.url ?? []].flat().flatMap(withHeartbeat),
    });
    this.user = user;
  }

  readonly user: string | undefined;

  override async onConnected(wasReconnect?: boolean): Promise<void> {
    const socket: unknown = this.connection?.connection?.stream;
    if (socket instanceof Duplex) writeOncePerTurn(socket);
    await super.onConnected(wasReconnect);
  }

  override async connect(...onLost: []): Promise<void> {
    try {
      await super.connect(...onLost);
    } catch (error) {
      // A connection that stayed would keep the queues it has declared from the next one.
      await this.closeConnection();
      throw error;
    }
  }

  /** Moleculer notices, and connects again in five seconds. */
  async closeConnection(): Promise<void> {
    await this.connection?.close().catch(() => {}); // closed already
  }

  override _consumeCB(cmd: string, needAck?: boolean): ReturnType<Transporters.AMQP["_consumeCB"]> {
    const consume = super._consumeCB(cmd, needAck);
    return (message) => {
      // RabbitMQ has ended the queue: this node would hear nothing any more.
      if (message === null) return this.closeConnection();
      publishers.set(message.content, message.properties.userId);
      return consume(message);
    };
  }

  override deserialize(type: string, content: Buffer): ReturnType<Transporters.AMQP["deserialize"]> {
    const packet = super.deserialize(type, content);
    publishers.set(packet, publishers.get(content));
    return packet;
  }

  override subscribe(cmd: string, nodeID?: string): Promise<void> {
    // A service's own user finds the exchanges made, and has no right to make or delete any.
    const { channel } = this;
    if (channel && this.user !== undefined) channel.assertExchange = channel.checkExchange;
    return super.subscribe(cmd, nodeID);
  }
}

/**
 * Sends what is written in one turn of the event loop by one system call. Every message and acknowledgement is a write of
 * its own otherwise, and those were the largest part of what a busy node does.
 */
export function writeOncePerTurn(socket: Writable): void {
  const write = socket.write;
  let collecting = false;
  const send = (): void => {
    collecting = false;
    socket.uncork();
  };
  const collect = (...args: unknown[]): unknown => {
    if (!collecting) {
      collecting = true;
      socket.cork();
      setImmediate(send);
    }
    return Reflect.apply(write, socket, args);
  };
  Object.assign(socket, { write: collect });
}
