import { connect } from "amqplib";
import { runOwned } from "./owned-process.ts";

type Kind = "queues" | "exchanges";

/**
 * Deletes the queues and exchanges of the namespaces that start with `prefix`.
 *
 * A broker does not tell a client which it has, so its administration is asked. Where that is closed to us, queues
 * expire by themselves half a minute after their node is gone, and empty exchanges stay.
 */
export async function deleteLeftoversOf(amqpUrl: string, prefix: string): Promise<void> {
  const ownOf = async (kind: Kind): Promise<string[]> => {
    const names = (await askManagement(amqpUrl, kind)) ?? (await askCommandLine(amqpUrl, kind)) ?? [];
    return names.filter((name) => name.startsWith(`MOL-${prefix}`));
  };
  const [queues, exchanges] = [await ownOf("queues"), await ownOf("exchanges")];
  if (queues.length + exchanges.length === 0) return;
  const connection = await connect(amqpUrl, { timeout: 2_000 });
  const channel = await connection.createChannel();
  for (const name of queues) await channel.deleteQueue(name);
  for (const name of exchanges) await channel.deleteExchange(name);
  await connection.close();
}

const virtualHost = (url: URL): string => decodeURIComponent(url.pathname.slice(1)) || "/";

/** The management plugin's API on its usual port. */
async function askManagement(amqpUrl: string, kind: Kind): Promise<string[] | null> {
  const url = new URL(amqpUrl);
  const list = `http://${url.hostname}:15672/api/${kind}/${encodeURIComponent(virtualHost(url))}?columns=name`;
  const credentials = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`;
  const headers = { Authorization: `Basic ${Buffer.from(credentials).toString("base64")}` };
  try {
    const response = await fetch(list, { headers, signal: AbortSignal.timeout(2_000) });
    const found: unknown = response.ok ? await response.json() : null;
    return Array.isArray(found) ? found.map(({ name }) => String(name)) : null;
  } catch {
    return null;
  }
}

/** `rabbitmqctl`, which works for the broker of this machine and those who may read its cookie. */
async function askCommandLine(amqpUrl: string, kind: Kind): Promise<string[] | null> {
  const host = virtualHost(new URL(amqpUrl));
  const { code, output } = await runOwned([
    "rabbitmqctl",
    "--quiet",
    `list_${kind}`,
    "--vhost",
    host,
    "name",
  ]);
  return code === 0 ? output.split("\n") : null;
}
