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
