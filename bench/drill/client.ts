import { randomUUID } from "node:crypto";
import { setTimeout as delay } from "node:timers/promises";
import { Pool } from "undici";

/** Milliseconds until a client gives up: twice what an answer is promised in. */
const HUNG = 10_000;
/** Times that a client sends a request whose connection was cut, each to the other gateway. */
const TRIES = 4;

export interface Outcome {
  /** When it was over, by `performance.now()`. */
  at: number;
  ms: number;
  /** 0 for a connection that was cut, every time; -1 for no answer at all. */
  status: number;
  what: string;
}

export interface Answer {
  status: number;
  body: Record<string, unknown>;
}

export interface Wanted {
  token?: string | undefined;
  body?: object;
  /** Sends the same `Idempotency-Key` each time, so that a repetition is safe. */
  keyed?: boolean;
}

export type Client = ReturnType<typeof openClient>;

/**
 * A client of two gateways, as one behind a load balancer would be: a request whose connection is cut is sent to the other.
 *
 * @param tell is told what became of each request
 */
export function openClient(gateways: readonly string[], tell: (outcome: Outcome) => void) {
  const pools = gateways.map(
    (origin) => new Pool(origin, { connections: 64, headersTimeout: HUNG, bodyTimeout: HUNG }),
  );
  let turn = 0;

  async function send(method: string, path: string, { token, body, keyed }: Wanted): Promise<Answer> {
    const headers = {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body ? { "content-type": "application/json" } : {}),
      ...(keyed ? { "idempotency-key": randomUUID() } : {}),
    };
    const first = turn++;
    for (let tries = 0; ; tries++) {
      const pool = pools[(first + tries) % pools.length];
      if (!pool) throw new Error("no gateway");
      try {
        const answer = await pool.request({
          method: method as "GET",
          path,
          headers,
          ...(body ? { body: JSON.stringify(body) } : {}),
        });
        const text = await answer.body.text();
        return { status: answer.statusCode, body: text === "" ? {} : JSON.parse(text) };
      } catch (error) {
        const { code } = Object(error);
        if (code === "UND_ERR_HEADERS_TIMEOUT" || code === "UND_ERR_BODY_TIMEOUT")
          return { status: -1, body: {} };
        if (tries + 1 === TRIES) return { status: 0, body: {} };
        await delay(50);
      }
    }
  }

  return {
    async call(method: string, path: string, wanted: Wanted = {}): Promise<Answer> {
      const sentAt = performance.now();
      const answer = await send(method, path, wanted);
      const at = performance.now();
      const what = `${method} ${path.replace(/[0-9a-f-]{36}/, ":id").split("?")[0]}`;
      tell({ at, ms: at - sentAt, status: answer.status, what });
      return answer;
    },
    close: () => Promise.all(pools.map((pool) => pool.destroy())),
  };
}
