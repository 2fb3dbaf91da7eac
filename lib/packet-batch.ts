import { collectFor } from "./event-loop.ts";

/** `type` of a message that has several packets, and what a node that takes such says in its metadata. */
export const BATCH = "taskmesh.batch";

/** Bytes before each packet that say how long it is. */
const LENGTH = 4;

/** Packets as the content of one message: each after its length in bytes, a 32-bit integer, big endian. */
export function joinPackets(packets: readonly Buffer[]): Buffer {
  const message = Buffer.allocUnsafe(packets.reduce((sum, { length }) => sum + LENGTH + length, 0));
  let at = 0;
  for (const packet of packets) {
    at = message.writeUInt32BE(packet.length, at);
    at += packet.copy(message, at);
  }
  return message;
}

/** What `joinPackets` joined. @throws RangeError when the message is nothing of that kind */
export function splitPackets(message: Buffer): Buffer[] {
  const packets: Buffer[] = [];
  for (let at = 0; at < message.length; ) {
    const start = at + LENGTH;
    at = start + message.readUInt32BE(at);
    if (at > message.length) throw new RangeError("A batch of packets ends early.");
    packets.push(message.subarray(start, at));
  }
  return packets;
}

/** Most packets, and most bytes, of a batch: it is acknowledged, and so counts for the receiver's prefetch, as one. */
const MOST_PACKETS = 16;
const MOST_BYTES = 256 * 1024;

/** Divides what waits for one queue, in its order, into what one message takes. A larger packet goes alone. */
export function batchesOf<T extends { data: Buffer }>(waiting: readonly T[]): T[][] {
  const batches: T[][] = [];
  let room = 0;
  for (const each of waiting) {
    const { length } = each.data;
    const last = batches.at(-1);
    if (last && last.length < MOST_PACKETS && length <= room) last.push(each);
    else {
      batches.push([each]);
      room = MOST_BYTES;
    }
    room -= length;
  }
  return batches;
}

/** What is read of a message. */
export interface Message {
  content: Buffer;
  properties: { type?: string; userId?: string };
}

/** @throws RangeError when it is no batch but says so */
export const packetsIn = ({ content, properties }: Message): Buffer[] =>
  properties.type === BATCH ? splitPackets(content) : [content];

/** Most turns of the event loop that a packet waits for others: hundredths of a millisecond of an idle node. */
const TURNS = 8;

/** A packet that waits for others. */
interface Waiting {
  topic: string;
  data: Buffer;
  mandatory: boolean;
  sent: () => void;
  failed: (error: unknown) => void;
}

/**
 * Sends packets some turns of the event loop later, those for one queue together. What is returned resolves when a packet
 * has gone, and rejects with what `send` throws.
 *
 * @param send a message to a queue; without a type, its content is one packet
 */
export function inBatches(send: (topic: string, content: Buffer, mandatory: boolean, type?: string) => void) {
  function sendBatch(topic: string, batch: readonly Waiting[]): void {
    const data = batch.map((each) => each.data);
    const mandatory = batch.some((each) => each.mandatory);
    try {
      const [only] = data;
      if (only && data.length === 1) send(topic, only, mandatory);
      else send(topic, joinPackets(data), mandatory, BATCH);
      for (const { sent } of batch) sent();
    } catch (error) {
      for (const { failed } of batch) failed(error);
    }
  }
  const collect = collectFor<Waiting>(TURNS, (collected) => {
    for (const [topic, waiting] of Map.groupBy(collected, (each) => each.topic))
      for (const batch of batchesOf(waiting)) sendBatch(topic, batch);
  });
  return (topic: string, data: Buffer, mandatory: boolean): Promise<void> =>
    new Promise((sent, failed) => collect({ topic, data, mandatory, sent, failed }));
}
