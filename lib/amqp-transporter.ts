import { setTimeout as delay } from "node:timers/promises";
import type { Channel, ChannelModel, SocketOptions } from "amqplib";
import { Errors, Transporters } from "moleculer";
import { leave, openConnection, withHeartbeat } from "./amqp-connection.ts";
import { busMessages } from "./metrics.ts";
import { BATCH, inBatches, type Message, packetsIn } from "./packet-batch.ts";

type Base = InstanceType<typeof Transporters.AMQP>;
/** (Moleculer's typings don't know all.) */
type Options = Base["opts"] & { socketOptions?: SocketOptions };

/** Milliseconds between tries to connect: after the first failure, and at the most. Half of it is chance. */
const RECONNECT_AFTER = { first: 100, most: 2_000 };
/** Milliseconds between looks whether heartbeats come in. */
const LISTEN_EVERY = 500;

/** RabbitMQ's user that published a message, by its content and by the packet read from it. */
const publishers = new WeakMap<object, unknown>();

/** Who published a packet, as RabbitMQ has checked it; `undefined` when the message does not say. */
export const publisherOf = (packet: object): unknown => publishers.get(packet);

/**
 * Moleculer's AMQP transporter, cured of what a fault drill found (docs/decisions/0024-faults.md):
 *
 * - It connects again at once, not after five seconds, and also when only its channel, a queue or an exchange is lost:
 *   Moleculer's would look connected and hear nothing for ever. A node hears its own heartbeats; when it does not, it
 *   hears nobody.
 * - A request to a node that is gone comes back (`mandatory`), and the node is taken off the list at that moment: its
 *   queue of requests goes away with its connection.
 * - Requests that waited while the process stood still are not run when it goes on.
 * - A message is acknowledged on the channel that brought it, and never put back: what fails once fails always.
 *
 * What a node sends another in one turn of the event loop goes as one message (docs/decisions/0026-batches.md).
 *
 * It also says with each message which of RabbitMQ's users sends it, and keeps what others say. RabbitMQ lets nobody
 * give another user's name ("validated user id").
 */
export class AmqpTransporter extends Transporters.AMQP {
  /** @param user that of the URL; without it, messages say nothing */
  constructor(options: Options, user?: string) {
    super({
      ...options,
      ...(user === undefined ? {} : { messageOptions: { ...options.messageOptions, userId: user } }),
      url: [options.url ?? []].flat().flatMap(withHeartbeat),
    });
    this.user = user;
    this.socketOptions = options.socketOptions;
  }

  readonly user: string | undefined;
  private readonly socketOptions: SocketOptions | undefined;
  private attempts = 0;
  private ended = false;
  /** When a heartbeat came in, of any node: by `performance.now()`. */
  private heardAt = 0;
  /** When this process last had time for itself. */
  private lookedAt = 0;
  private listening: NodeJS.Timeout | undefined;

  override init(...args: Parameters<Base["init"]>): void {
    super.init(...args);
    Object.assign(this.broker.metadata, { [BATCH]: true });
  }

  /** Whether this node hears and is heard. Moleculer's own flags stay true when only the channel is lost. */
  get isOpen(): boolean {
    return this.connected && this.channel !== null && !this.isDeaf;
  }

  private get isDeaf(): boolean {
    const { started, options } = this.broker;
    return started && performance.now() - this.heardAt > Number(options.heartbeatTimeout) * 1_000;
  }

  /** Resolves when there is a connection, however long that takes. */
  override async connect(): Promise<void> {
    this.ended = false;
    for (let pause = RECONNECT_AFTER.first; !this.ended; pause = Math.min(pause * 2, RECONNECT_AFTER.most)) {
      try {
        return await this.attempt();
      } catch (error) {
        this.logger.warn("RabbitMQ gives no connection.", error);
        await delay(pause / 2 + (Math.random() * pause) / 2);
      }
    }
  }

  /** One try, with the next of the brokers. What becomes of an earlier connection does not touch this one. */
  private async attempt(): Promise<void> {
    const addresses = [this.opts.url ?? []].flat();
    const { connection, channel, end } = await openConnection(
      addresses[this.attempts++ % addresses.length] ?? "",
      {
        socketOptions: this.socketOptions,
        prefetch: Number(this.opts.prefetch),
        onError: (type, error) => this.failed(type, error),
        onBlocked: (reason) => this.logger.warn("RabbitMQ takes no messages for now.", reason),
        onReturn: (message) => this.missed(message),
      },
    );
    Object.assign(this, { connection, channel, bindings: [] });
    channel.on("close", () => this.forget(channel));
    try {
      const isAgain = ++this.connectionCount > 1;
      if (isAgain) await this.transit.makeSubscriptions();
      this.listen();
      await this.onConnected(isAgain);
    } catch (error) {
      this.forget(channel);
      void leave(connection);
      throw error;
    }
    void end.then(() => this.lost(connection));
  }

  /** As Moleculer's does it. */
  private failed(type: string, error: Error): void {
    this.logger.error("RabbitMQ failed.", error);
    this.broker.broadcastLocal("$transporter.error", { error, module: "transporter", type });
  }

  private forget(channel: Channel): void {
    if (this.channel === channel) this.channel = null;
  }

  private async lost(connection: ChannelModel): Promise<void> {
    if (connection !== this.connection) return;
    this.connected = false;
    await delay(Math.random() * RECONNECT_AFTER.first);
    if (!this.ended) await this.connect();
  }

  /** Notices from now on when heartbeats don't come in, and when this process stood still. */
  private listen(): void {
    this.heardAt = this.lookedAt = performance.now();
    clearInterval(this.listening);
    this.listening = setInterval(() => {
      if (this.isDeaf || this.stoodStill) this.renew();
      this.lookedAt = performance.now();
    }, LISTEN_EVERY);
    this.listening.unref();
  }

  /** Whether nobody waits any more for an answer to what came in meanwhile: it was left, or asked of another node. */
  private get stoodStill(): boolean {
    const { requestTimeout } = this.broker.options;
    return performance.now() - this.lookedAt > (requestTimeout || Number.POSITIVE_INFINITY);
  }

  /** Gives the connection up; its end makes another. */
  private renew(): void {
    clearInterval(this.listening);
    if (this.connection) void leave(this.connection);
  }

  override async disconnect(): Promise<void> {
    this.ended = true;
    clearInterval(this.listening);
    const { connection } = this;
    if (connection) await leave(connection);
    Object.assign(this, { connected: false, connection: null, channel: null, connectionCount: 0 });
  }

  /** Nobody was there for requests: the queue of that node is gone. */
  private missed(message: Returned): void {
    const { registry, transit } = this.broker;
    const nodeID = message.fields.routingKey.slice(this.getTopicName("REQ").length + 1);
    for (const packet of packetsIn(message)) {
      const { id } = super.deserialize("REQ", packet).payload;
      const request = transit?.pendingRequests.get(id);
      if (!request) continue;
      transit?.removePendingRequest(id);
      request.reject(new Errors.ServiceNotAvailableError({ action: nameOf(request.action), nodeID }));
    }
    // Whatever else it was asked is rejected by this; when it is back, it says so itself.
    registry.nodes.disconnected(nodeID, true);
  }

  override _consumeCB(cmd: string, needAck?: boolean): ReturnType<Base["_consumeCB"]> {
    const { channel } = this;
    return async (message) => {
      // RabbitMQ has deleted the queue under us.
      if (message === null) {
        if (channel === this.channel) this.renew();
        return;
      }
      if (cmd === "REQ" && this.stoodStill) {
        this.renew();
        return;
      }
      if (cmd === "HEARTBEAT") this.heardAt = performance.now();
      busMessages.inc({ direction: "received" });
      try {
        await Promise.all(packetsIn(message).map((packet) => this.take(cmd, packet, message)));
        // Another channel does not know this message, and would be closed for it.
        if (needAck && channel === this.channel) channel?.ack(message);
      } catch (error) {
        this.logger.error("A message could not be handled.", error);
      }
    };
  }

  private async take(cmd: string, packet: Buffer, { properties }: Message): Promise<void> {
    publishers.set(packet, properties.userId);
    try {
      await this.receive(cmd, packet);
    } catch (error) {
      this.logger.error("A packet could not be handled.", error);
    }
  }

  override deserialize(type: string, content: Buffer): ReturnType<Base["deserialize"]> {
    const packet = super.deserialize(type, content);
    publishers.set(packet, publishers.get(content));
    return packet;
  }

  override async subscribe(cmd: string, nodeID?: string): Promise<void> {
    // A service's own user finds the exchanges made, and has no right to make or delete any.
    const { channel } = this;
    // The newest connection gets all: RabbitMQ may take a dead one of ours for alive, and would go on feeding it.
    this.opts.consumeOptions = { ...this.opts.consumeOptions, priority: this.connectionCount };
    if (channel && this.user !== undefined) channel.assertExchange = channel.checkExchange;
    try {
      await super.subscribe(cmd, nodeID);
    } catch (error) {
      // Requests wait for this, and fail with what it fails with: their callers must know that nothing was sent.
      this.logger.warn("A queue could not be had.", error);
      throw disconnected();
    }
  }

  override async send(topic: string, data: Buffer, { balanced, packet }: Sent): Promise<void> {
    const { type, target } = packet;
    const isRequest = type === "REQ";
    try {
      if (target != null && this.takesBatches(target)) await this.sendTogether(topic, data, isRequest);
      else if (target != null || balanced) this.queue(topic, data, isRequest);
      else {
        this.open.publish(topic, "", data, this.opts.messageOptions);
        busMessages.inc({ direction: "sent" });
      }
    } catch {
      // The channel is closed or about to be. Who waits for an answer is told so; other packets are but hints.
      if (isRequest) throw disconnected();
    }
  }

  private readonly sendTogether = inBatches((...message) => this.queue(...message));

  /** @throws when there is no channel, or none that is open */
  private queue(topic: string, data: Buffer, mandatory: boolean, type?: string): void {
    const options = { ...this.opts.messageOptions, mandatory, ...(type === undefined ? {} : { type }) };
    this.open.sendToQueue(topic, data, options);
    busMessages.inc({ direction: "sent" });
  }

  private get open(): Base["channel"] {
    if (!this.channel) throw new Error("There is no channel.");
    return this.channel;
  }

  /** Whether a node says so of itself: Moleculer's own transporter knows nothing of batches. */
  private takesBatches(nodeID: string): boolean {
    return this.broker.registry.nodes.get(nodeID)?.metadata?.[BATCH] === true;
  }
}

const disconnected = (): Error => new Errors.BrokerDisconnectedError("The broker is disconnected.");

/** (Moleculer's typings say it is a text.) */
const nameOf = (action: unknown): string => String(Object(action).name);

/** What RabbitMQ returns. */
interface Returned extends Message {
  fields: { routingKey: string };
}

type Sent = Record<string, unknown> & { packet: { type: string; target?: string | null } };
