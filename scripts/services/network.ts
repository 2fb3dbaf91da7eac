import { once } from "node:events";
import { connect } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

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

/**
 * Repeats `attempt` until it answers something else than `null`.
 *
 * @param ended settles when there is no more hope, e.g. the server's exit
 * @param timeout milliseconds
 * @returns `null` on `ended` and after the time
 */
export async function until<T>(
  attempt: () => Promise<T | null>,
  ended: Promise<unknown>,
  timeout: number,
): Promise<T | null> {
  let hopeless = false;
  void ended.then(() => {
    hopeless = true;
  });
  const deadline = Date.now() + timeout;
  for (;;) {
    const answer = await attempt();
    if (answer !== null || hopeless || Date.now() > deadline) return answer;
    await Promise.race([delay(100), ended]);
  }
}
