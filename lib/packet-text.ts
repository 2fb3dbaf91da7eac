/** What a node that reads such packets says in its metadata. */
export const TEXT = "taskmesh.text";

/** Begins such a packet: RFC 7464's record separator, which no JSON begins with. */
const RECORD_SEPARATOR = 0x1e;
/** Ends its JSON, which has none. */
const LINE_FEED = 0x0a;

/** Characters. What is longer is rare, and the serializer sees whether it can be sent. */
const MOST = 2 ** 20;

/**
 * Takes the text out of an answer that has one: `data.text`, such as a page of tasks. Printed as a part of JSON and read as
 * such, each of its quotation marks is escaped and unescaped, which takes ten times as long as to copy it.
 */
export function takeText<T extends { data?: unknown }>(payload: T): { payload: T; text?: string } {
  const { data } = payload;
  if (typeof data !== "object" || data === null || !("text" in data)) return { payload };
  const { text, ...rest } = data;
  // UTF-8 has no half of a pair of surrogates; JSON can say one.
  if (typeof text !== "string" || text.length > MOST || !text.isWellFormed()) return { payload };
  return { payload: { ...payload, data: rest }, text };
}

/** A packet of its JSON and the text that was taken out. */
export function joinText(json: Buffer, text: string): Buffer {
  const packet = Buffer.allocUnsafe(json.length + Buffer.byteLength(text) + 2);
  packet[0] = RECORD_SEPARATOR;
  const end = 1 + json.copy(packet, 1);
  packet[end] = LINE_FEED;
  packet.write(text, end + 1);
  return packet;
}

/** What `joinText` joined, or a packet that is JSON alone. @throws RangeError when it is neither */
export function splitText(packet: Buffer): { json: Buffer; text?: string } {
  if (packet[0] !== RECORD_SEPARATOR) return { json: packet };
  const end = packet.indexOf(LINE_FEED);
  if (end < 0) throw new RangeError("A packet with a text ends before it.");
  return { json: packet.subarray(1, end), text: packet.toString("utf8", end + 1) };
}
