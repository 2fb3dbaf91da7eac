import type { IncomingMessage } from "node:http";

/**
 * The address of the client: the peer's, or what the trusted proxies in front say, counted from the nearest.
 *
 * @param trustedProxies how many proxies' `X-Forwarded-For` entries are believed
 */
export function clientAddress(request: IncomingMessage, trustedProxies: number): string | undefined {
  const forwarded = request.headersDistinct["x-forwarded-for"]?.join(",").split(",") ?? [];
  const hops = [request.socket.remoteAddress, ...forwarded.map(withoutPort).reverse()];
  return hops[Math.min(trustedProxies, hops.length - 1)];
}

/** Some proxies add the client's port: each of its connections would be another client. */
function withoutPort(entry: string): string {
  const [, bracketed, dotted] = /^(?:\[(.+)\]|([\d.]+))(?::\d+)?$/.exec(entry.trim()) ?? [];
  return bracketed ?? dotted ?? entry.trim();
}
