import { connect } from "amqplib";
import { runOwned } from "./owned-process.ts";

/**
 * Deletes the queues of the namespaces that start with `prefix`.
 *
 * A broker does not tell a client which queues it has, so its administration is asked. Where that is closed to
 * us nothing is lost: these queues expire by themselves, half a minute after their node is gone.
 */
export async function deleteQueuesOf(amqpUrl: string, prefix: string): Promise<void> {
  const names = (await askManagement(amqpUrl)) ?? (await askCommandLine(amqpUrl)) ?? [];
  const own = names.filter((name) => name.startsWith(`MOL-${prefix}`));
  if (own.length === 0) return;
  const connection = await connect(amqpUrl, { timeout: 2_000 });
  const channel = await connection.createChannel();
  for (const name of own) await channel.deleteQueue(name);
  await connection.close();
}

const virtualHost = (url: URL): string => decodeURIComponent(url.pathname.slice(1)) || "/";

/** The management plugin's API on its usual port. */
async function askManagement(amqpUrl: string): Promise<string[] | null> {
  const url = new URL(amqpUrl);
  const queues = `http://${url.hostname}:15672/api/queues/${encodeURIComponent(virtualHost(url))}?columns=name`;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const headers = { Authorization: `Basic ${Buffer.from(credentials).toString("base64")}` };
  try {
    const response = await fetch(queues, { headers, signal: AbortSignal.timeout(2_000) });
    const found: unknown = response.ok ? await response.json() : null;
    return Array.isArray(found) ? found.map(({ name }) => String(name)) : null;
  } catch {
    return null;
  }
}

/** `rabbitmqctl`, which works for the broker of this machine and those who may read its cookie. */
async function askCommandLine(amqpUrl: string): Promise<string[] | null> {
  const host = virtualHost(new URL(amqpUrl));
  const { code, output } = await runOwned(["rabbitmqctl", "--quiet", "list_queues", "--vhost", host, "name"]);
  return code === 0 ? output.split("\n") : null;
}
