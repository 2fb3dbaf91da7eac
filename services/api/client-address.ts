import type { IncomingMessage } from "node:http";

/**
 * The address of the client: the peer's, or what the trusted proxies in front say, counted from the nearest.
 *
 * @param trustedProxies how many proxies' `X-Forwarded-For` entries are believed
 */
export function clientAddress(request: IncomingMessage, trustedProxies: number): string | undefined {
  const forwarded = request.headersDistinct["x-forwarded-for"]?.join(",").split(",") ?? [];
  const hops = [request.socket.remoteAddress, ...forwarded.map((address) => address.trim()).reverse()];
  return hops[Math.min(trustedProxies, hops.length - 1)];
}
