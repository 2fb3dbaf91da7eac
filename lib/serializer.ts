import { Serializers } from "moleculer";
import { problem } from "./errors.ts";

/**
 * JSON, but an answer that JSON can't carry (a BigInt, a cycle) is sent as the error `internal`. Moleculer would fail
 * to send it and leave the request unacknowledged: RabbitMQ would deliver it again, and the caller would wait.
 */
export class JsonSerializer extends Serializers.JSON {
  override serialize(payload: Record<string, unknown>, type?: string): Buffer {
    try {
      return super.serialize(payload);
    } catch (error) {
      if (type !== "RES") throw error;
      const failure = problem("internal", "The answer can't be sent.");
      const plain = this.broker.errorRegenerator?.extractPlainError(failure);
      const { id, ver, sender } = payload;
      return super.serialize({ id, ver, sender, meta: {}, success: false, data: null, error: plain });
    }
  }
}
