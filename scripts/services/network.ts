import { once } from "node:events";
import { connect } from "node:net";

/** Whether something on 127.0.0.1 accepts connections on this port. */
export async function isListening(port: number): Promise<boolean> {
  const socket = connect({ host: "127.0.0.1", port, timeout: 1_000 });
  const answer = await Promise.race([
    once(socket, "connect").then(() => true),
    once(socket, "timeout").then(() => false),
  ]).catch(() => false);
  socket.destroy();
  return answer;
}
