import type { Message as Delivered } from "amqplib";
import { Errors, type Transporters } from "moleculer";
import { type AmqpOptions, ReconnectingTransporter } from "./amqp-reconnecting.ts";
import { busMessages } from "./metrics.ts";
import { BATCH, inBatches, type Message, packetsIn } from "./packet-batch.ts";
import { joinText, splitText, TEXT, takeText } from "./packet-text.ts";

type Base = InstanceType<typeof Transporters.AMQP>;
/** RabbitMQ's user that published a message, by its content and by the packet read from it. */
const publishers = new WeakMap<object, unknown>();

/** Who published a packet, as RabbitMQ has checked it; `undefined` when the message does not say. */
export const publisherOf = (packet: object): unknown => publishers.get(packet);

/**
 * What goes over RabbitMQ, and how, cured of what a fault drill found (docs/decisions/0024-faults.md):
 *
 * - A request to a node that is gone comes back (`mandatory`), and the node is taken off the list at that moment: its
 *   queue of requests goes away with its connection.
 * - Requests that waited while the process stood still are not run when it goes on.
 * - A message is acknowledged on the channel that brought it, and never put back: what fails once fails always.
 *
 * What a node sends another in a few turns of the event loop goes as one message, and a text in an answer as it is
 * (docs/decisions/0026-batches.md).
 *
 * It also says with each message which of RabbitMQ's users sends it, and keeps what others say. RabbitMQ lets nobody
 * give another user's name ("validated user id").
 */
export class AmqpTransporter extends ReconnectingTransporter {
  /** @param user that of the URL; without it, messages say nothing */
  constructor(options: AmqpOptions, user?: string) {
    super(
      user === undefined
        ? options
        : { ...options, messageOptions: { ...options.messageOptions, userId: user } },
    );
    this.user = user;
  }

  readonly user: string | undefined;

  override init(...args: Parameters<Base["init"]>): void {
    super.init(...args);
    Object.assign(this.broker.metadata, { [BATCH]: true, [TEXT]: true });
    // A node that says what it offers is alive: right after an outage, its last heartbeat is an old one.
    this.broker.localBus.on("$node.updated", ({ node }) => node.heartbeat({}));
  }

  /** Nobody was there for requests: the queue of that node is gone. */
  protected override missed(message: Delivered): void {
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
      busMessages.inc({ direction: "received" });
      try {
        await Promise.all(packetsIn(message).map((packet) => this.take(cmd, packet, message)));
        // Another channel does not know this message, and would be closed for it.
        if (needAck && channel === this.channel) channel?.ack(message);
      } catch (err) {
        this.logger.error({ err }, "A message could not be handled.");
      }
    };
  }

  private async take(cmd: string, packet: Buffer, { properties }: Message): Promise<void> {
    publishers.set(packet, properties.userId);
    try {
      await this.receive(cmd, packet);
    } catch (err) {
      this.logger.error({ err }, "A packet could not be handled.");
    }
  }

  override serialize(packet: Parameters<Base["serialize"]>[0]): Buffer {
    const { type, target } = packet;
    if (type !== "RES" || target == null || !this.says(target, TEXT)) return super.serialize(packet);
    const { payload, text } = takeText(packet.payload);
    const json = super.serialize({ ...packet, payload });
    return text === undefined ? json : joinText(json, text);
  }

  override deserialize(type: string, content: Buffer): ReturnType<Base["deserialize"]> {
    const { json, text } = splitText(content);
    const packet = super.deserialize(type, json);
    if (text !== undefined) Object.assign(Object(packet.payload.data), { text });
    publishers.set(packet, publishers.get(content));
    if (type === "REQ" && packet.payload.timeout > 0 && this.stoodStillFor > 0) {
      // Below nothing, nobody waits any more (lib/request-context.ts); nothing would be for ever.
      packet.payload.timeout = packet.payload.timeout - this.stoodStillFor || -1;
    }
    if (type === "HEARTBEAT" && packet.payload.sender === this.nodeID) this.heardAt = performance.now();
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
    } catch (err) {
      // Requests wait for this, and fail with what it fails with: their callers must know that nothing was sent.
      this.logger.warn({ err }, "A queue could not be had.");
      throw disconnected();
    }
  }

  override async send(topic: string, data: Buffer, { balanced, packet }: Sent): Promise<void> {
    const { type, target } = packet;
    const isRequest = type === "REQ";
    // It would be sent when RabbitMQ takes messages again, to do what nobody waits for.
    if (isRequest && this.isBlocked) throw disconnected();
    try {
      if (target != null && this.says(target, BATCH)) await this.sendTogether(topic, data, isRequest);
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

  /** Whether a node says of itself that it takes these: Moleculer's own transporter knows of none. */
  private says(nodeID: string, what: typeof BATCH | typeof TEXT): boolean {
    return this.broker.registry.nodes.get(nodeID)?.metadata?.[what] === true;
  }
}

const disconnected = (): Error => new Errors.BrokerDisconnectedError("The broker is disconnected.");

/** (Moleculer's typings say it is a text.) */
const nameOf = (action: unknown): string => String(Object(action).name);

type Sent = Record<string, unknown> & { packet: { type: string; target?: string | null } };
