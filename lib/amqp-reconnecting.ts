import { setTimeout as delay } from "node:timers/promises";
import type { Channel, ChannelModel, Message, SocketOptions } from "amqplib";
import { Transporters } from "moleculer";
import { leave, openConnection, withHeartbeat } from "./amqp-connection.ts";

/** (Moleculer's typings don't know all.) */
export type AmqpOptions = InstanceType<typeof Transporters.AMQP>["opts"] & { socketOptions?: SocketOptions };

/** Milliseconds between tries to connect: after the first failure, and at the most. Half of it is chance. */
const RECONNECT_AFTER = { first: 100, most: 2_000 };
/** Milliseconds between looks whether heartbeats come in. */
const LISTEN_EVERY = 500;

/**
 * Moleculer's AMQP transporter with a connection that comes back: at once, not after five seconds, and also when only its
 * channel, a queue or an exchange is lost. Moleculer's would look connected and hear nothing for ever. A node hears its own
 * heartbeats; when it does not, it hears nobody.
 */
export abstract class ReconnectingTransporter extends Transporters.AMQP {
  constructor(options: AmqpOptions) {
    super({ ...options, url: [options.url ?? []].flat().flatMap(withHeartbeat) });
    this.socketOptions = options.socketOptions;
  }

  private readonly socketOptions: SocketOptions | undefined;
  private attempts = 0;
  private ended = false;
  /** When a heartbeat of this node's came in: by `performance.now()`. */
  protected heardAt = 0;
  /** Whether RabbitMQ takes no messages from this connection: it is short of memory or disk. */
  protected isBlocked = false;
  /** When this process last had time for itself, and when the time before. */
  private lookedAt = 0;
  private lookedBefore = 0;
  private listening: NodeJS.Timeout | undefined;

  /** Whether this node hears and is heard. Moleculer's own flags stay true when only the channel is lost. */
  get isOpen(): boolean {
    return this.connected && this.channel !== null && !this.isDeaf && !this.isBlocked;
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
      } catch (err) {
        this.logger.warn({ err }, "RabbitMQ gives no connection.");
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
        onBlocked: (reason) => this.blocked(reason),
        onReturn: (message) => this.missed(message),
      },
    );
    Object.assign(this, { connection, channel, bindings: [], isBlocked: false });
    channel.on("close", () => this.forget(channel));
    try {
      if (this.ended) throw new Error("The node stops.");
      // Before anything can come in: what is judged by it must not be judged by the last connection's.
      this.listen();
      const isAgain = ++this.connectionCount > 1;
      if (isAgain) await this.transit.makeSubscriptions();
      await this.onConnected(isAgain);
    } catch (error) {
      this.forget(channel);
      void leave(connection);
      throw error;
    }
    void end.then(() => this.lost(connection));
  }

  /** What RabbitMQ gives back: a `mandatory` message whose queue is gone. */
  protected abstract missed(message: Message): void;

  /** As Moleculer's does it. */
  private failed(type: string, error: Error): void {
    this.logger.error({ err: error }, "RabbitMQ failed.");
    this.broker.broadcastLocal("$transporter.error", { error, module: "transporter", type });
  }

  private blocked(reason: string | null): void {
    this.isBlocked = reason !== null;
    // What it said meanwhile comes now, if the connection is still good.
    this.heardAt = performance.now();
    if (reason === null) this.logger.info("RabbitMQ takes messages again.");
    else this.logger.warn({ reason }, "RabbitMQ takes no messages for now.");
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
    this.heardAt = this.lookedAt = this.lookedBefore = performance.now();
    clearInterval(this.listening);
    this.listening = setInterval(() => {
      // Another connection would be blocked like this one.
      if ((this.isDeaf && !this.isBlocked) || this.stoodStill) this.renew();
      this.lookedBefore = this.lookedAt;
      this.lookedAt = performance.now();
    }, LISTEN_EVERY);
    this.listening.unref();
  }

  /** Whether nobody waits any more for an answer to what came in meanwhile: it was left, or asked of another node. */
  protected get stoodStill(): boolean {
    const { requestTimeout } = this.broker.options;
    return this.stoodStillFor > (requestTimeout || Number.POSITIVE_INFINITY);
  }

  /**
   * Milliseconds that this process may have stood still just now: as old may be what comes in. Also at the first look after
   * it, which can come before anything is read.
   */
  protected get stoodStillFor(): number {
    const longest = Math.max(performance.now() - this.lookedAt, this.lookedAt - this.lookedBefore);
    return longest > 2 * LISTEN_EVERY ? longest : 0;
  }

  /** Gives the connection up; its end makes another. */
  protected renew(): void {
    clearInterval(this.listening);
    if (this.connection) void leave(this.connection);
  }

  override async disconnect(): Promise<void> {
    this.ended = true;
    clearInterval(this.listening);
    const { connection, channel } = this;
    if (connection) await leave(connection, channel);
    Object.assign(this, { connected: false, connection: null, channel: null, connectionCount: 0 });
  }
}
