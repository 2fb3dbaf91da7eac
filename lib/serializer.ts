import { Serializers } from "moleculer";
import { problem } from "./errors.ts";

/** Bytes. RabbitMQ 4 closes the channel of who sends a message of more than 16 MiB, and with it all that is in flight. */
const MAX_MESSAGE = 15 * 2 ** 20;

/** Of an answer; the rest is for what goes with it. */
export const MAX_ANSWER = MAX_MESSAGE - 2 ** 16;

/**
 * JSON, but an answer that JSON can't carry (a BigInt, a cycle), or RabbitMQ can't, is sent as the error `internal`.
 * Moleculer would fail to send it and leave the request unacknowledged: the caller would wait.
 */
export class JsonSerializer extends Serializers.JSON {
  /** @throws payload_too_large, and what JSON throws, for anything but an answer */
  override serialize(payload: Record<string, unknown>, type?: string): Buffer {
    try {
      const message: Buffer = super.serialize(payload);
      if (message.length > MAX_MESSAGE) throw problem("payload_too_large", "The message is too large.");
      return message;
    } catch (error) {
      if (type !== "RES") throw error;
      const failure = problem("internal", "The answer can't be sent.");
      const plain = this.broker.errorRegenerator?.extractPlainError(failure);
      const { id, ver, sender } = payload;
      return super.serialize({ id, ver, sender, meta: {}, success: false, data: null, error: plain });
    }
  }
}
