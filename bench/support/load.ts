import { Pool } from "undici";

export interface Load {
  origin: string;
  /** The n-th request. */
  request: (n: number) => { method: "GET" | "POST" | "PATCH"; path: string; token: string; body?: object };
  clients: number;
  seconds: number;
}

export interface Measured {
  requests: number;
  /** A second. */
  rate: number;
  /** Milliseconds. */
  latencies: number[];
}

/**
 * Clients that each send one request after another on a connection of their own.
 *
 * @throws when an answer is no success: a refusal is no work done
 */
export async function putLoad({ origin, request, clients, seconds }: Load): Promise<Measured> {
  const pool = new Pool(origin, { connections: clients, pipelining: 1 });
  const latencies: number[] = [];
  const startedAt = performance.now();
  const end = startedAt + seconds * 1_000;
  let sent = 0;

  async function client(): Promise<void> {
    while (performance.now() < end) {
      const { method, path, token, body } = request(sent++);
      const sentAt = performance.now();
      const answer = await pool.request({
        method,
        path,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body ? { "content-type": "application/json" } : {}),
        },
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      const text = await answer.body.text();
      if (answer.statusCode >= 300) throw new Error(`${method} ${path}: ${answer.statusCode} ${text}`);
      latencies.push(performance.now() - sentAt);
    }
  }

  await Promise.all(Array.from({ length: clients }, client));
  const took = (performance.now() - startedAt) / 1_000;
  await pool.close();
  return { requests: latencies.length, rate: latencies.length / took, latencies };
}
