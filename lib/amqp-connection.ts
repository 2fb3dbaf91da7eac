import { Duplex } from "node:stream";
import { type Channel, type ChannelModel, connect, type Message, type SocketOptions } from "amqplib";
import { writeOncePerTurn } from "./event-loop.ts";

/** Seconds. A broker that says nothing for two of them, such as one whose machine was lost, is left for another. */
const HEARTBEAT = 5;
/** Milliseconds that RabbitMQ has to say goodbye. */
const FAREWELL = 2_000;

/** The addresses of the brokers in an AMQP_URL, each with a heartbeat unless it has one. */
export const withHeartbeat = (urls: string): string[] =>
  urls
    .split(";")
    .filter(Boolean)
    .map((text) => {
      const url = new URL(text);
      if (!url.searchParams.has("heartbeat")) url.searchParams.set("heartbeat", String(HEARTBEAT));
      return url.href;
    });

/** A connection and its only channel, which end together. */
export interface AmqpConnection {
  connection: ChannelModel;
  channel: Channel;
  /** Resolves when the connection has ended, for whatever reason. */
  end: Promise<unknown>;
}

interface ConnectionOptions {
  socketOptions: SocketOptions | undefined;
  prefetch: number;
  onError: (type: "failedConnection" | "failedChannel", error: Error) => void;
  /** RabbitMQ is short of memory or disk, and takes no messages; with `null`, it takes them again. */
  onBlocked: (reason: string | null) => void;
  /** A message that was `mandatory`, and nobody's. */
  onReturn: (message: Message) => void;
}

/** @throws when there is none to be had; nothing of the attempt is left then */
export async function openConnection(
  address: string,
  { socketOptions, prefetch, onError, onBlocked, onReturn }: ConnectionOptions,
): Promise<AmqpConnection> {
  const connection = await connect(address, { ...socketOptions, servername: new URL(address).hostname });
  const end = new Promise((resolve) => connection.on("close", resolve));
  connection.on("error", (error) => onError("failedConnection", error));
  connection.on("blocked", onBlocked);
  connection.on("unblocked", () => onBlocked(null));
  try {
    const channel = await connection.createChannel();
    channel.on("error", (error) => {
      onError("failedChannel", error);
      void leave(connection);
    });
    channel.on("return", onReturn);
    await channel.prefetch(prefetch);
    const socket = socketOf(connection);
    if (socket) writeOncePerTurn(socket);
    return { connection, channel, end };
  } catch (error) {
    void leave(connection);
    throw error;
  }
}

/**
 * Closes a connection, or cuts it when RabbitMQ is in no state to answer.
 *
 * @param channel whose last messages are to arrive: amqplib closes a connection past what its channels have still to send
 */
export async function leave(connection: ChannelModel, channel: Channel | null = null): Promise<void> {
  const end = new Promise((resolve) => connection.once("close", resolve));
  // amqplib does not hear the end of a socket that has no error.
  const cut = (): unknown => socketOf(connection)?.destroy(new Error("RabbitMQ does not answer."));
  const impatience = setTimeout(cut, FAREWELL);
  try {
    await Promise.race([end, flush(channel).then(() => connection.close())]);
  } catch {
    // It is closing already, by another call of this, or closed.
  }
  clearTimeout(impatience);
}

/** RabbitMQ closes a channel when it has taken what was sent on it. */
async function flush(channel: Channel | null): Promise<void> {
  try {
    await channel?.close();
  } catch {
    // It is closed: nothing is on its way.
  }
}

/** (amqplib's typings don't know it.) */
const socketOf = ({ connection }: ChannelModel): Duplex | undefined => {
  const socket = "stream" in connection ? connection.stream : undefined;
  return socket instanceof Duplex ? socket : undefined;
};
