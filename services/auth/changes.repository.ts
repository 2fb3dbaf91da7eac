import { randomUUID } from "node:crypto";
import { Client } from "pg";

/** What the database tells when somebody may do less, or is somebody else, than a moment ago. */
export interface Change {
  kind: "session" | "user" | "api_token" | "keys";
  id: string;
}

interface ListenerOptions {
  url: string;
  onChange: (change: Change) => void;
  /** Whether changes arrive at present. While they don't, nothing remembered may be believed. */
  onState: (listening: boolean) => void;
  onError: (error: Error) => void;
}

export const CHANNEL = "taskmesh_auth";

/** Milliseconds. The echo of an own notification proves that the connection delivers, not just that it is open. */
const PROBE_INTERVAL = 1_000;
const PROBE_TIMEOUT = 1_000;
const RECONNECT_DELAY = 500;
/** Milliseconds that the database has to take a connection, and to answer on it. */
const ANSWER_TIMEOUT = 2_000;

const KINDS: Record<string, Change["kind"]> = {
  session: "session",
  user: "user",
  api_token: "api_token",
  keys: "keys",
};

/**
 * Listens for changes on a connection of its own (PostgreSQL NOTIFY), reconnecting for ever. Every second it sends
 * itself a notification: a connection that is cut without a word is noticed within two.
 */
export function listenForChanges({ url, onChange, onState, onError }: ListenerOptions) {
  let client: Client | undefined;
  let connecting: Promise<unknown> | undefined;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  async function connect(): Promise<void> {
    const fresh = new Client({
      connectionString: url,
      connectionTimeoutMillis: ANSWER_TIMEOUT,
      query_timeout: ANSWER_TIMEOUT,
      keepAlive: true,
    });
    client = fresh;
    const probe = `probe ${randomUUID()}`;
    let echoed = true;

    const lose = (error: Error): void => {
      if (client !== fresh || closed) return;
      client = undefined;
      clearTimeout(timer);
      onState(false);
      onError(error);
      fresh.end().catch(onError);
      timer = setTimeout(() => void connect(), RECONNECT_DELAY);
    };

    const check = async (): Promise<void> => {
      if (client !== fresh) return;
      if (!echoed) return lose(new Error("The database does not deliver notifications."));
      echoed = false;
      // Not awaited: on a dead connection it would hang; the missing echo is what counts.
      fresh.query("SELECT pg_notify($1, $2)", [CHANNEL, probe]).catch(lose);
      timer = setTimeout(() => void check(), Math.max(PROBE_INTERVAL, PROBE_TIMEOUT));
    };

    fresh.on("error", lose);
    fresh.on("end", () => lose(new Error("The database closed the connection.")));
    fresh.on("notification", ({ payload = "" }) => {
      if (payload === probe) {
        echoed = true;
        return;
      }
      const [name = "", id = ""] = payload.split(" ");
      const kind = KINDS[name];
      if (kind) onChange({ kind, id });
    });
    try {
      connecting = fresh.connect();
      await connecting;
      await fresh.query(`LISTEN ${CHANNEL}`);
      if (closed) return;
      onState(true);
      await check();
    } catch (error) {
      lose(error instanceof Error ? error : new Error(String(error)));
    }
  }

  return {
    start: connect,

    /**
     * Resolves when everything that was committed before has been told: PostgreSQL delivers notifications to a
     * connection before it answers the next statement on it. At once when nothing is heard anyway.
     */
    async caughtUp(): Promise<void> {
      await client?.query("SELECT 1").catch(onError);
    },

    async close(): Promise<void> {
      closed = true;
      clearTimeout(timer);
      onState(false);
      // pg never settles a connect() that is ended meanwhile, and whoever waits for the start would wait for ever.
      await connecting?.catch(() => {});
      await client?.end().catch(onError);
    },
  };
}
