import { once } from "node:events";
import { type IncomingHttpHeaders, type IncomingMessage, request } from "node:http";
import { assertDocumented } from "./openapi.ts";
import type { System } from "./system.ts";

/** One event of a stream, as a browser would dispatch it. */
export interface LiveEvent {
  id: string;
  event: string;
  data: { seq: number; op: string; taskId: string; version: number; task: { title: string } | null };
}

interface Wanted {
  token: string;
  since?: number | undefined;
  lastEventId?: string | undefined;
}

/** The id, name and data of a block of lines; undefined for one that is no event. */
function parse(block: string): LiveEvent | undefined {
  const fields = new Map(
    block
      .split("\n")
      .map((line): [string, string] => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 2)]),
  );
  const data = fields.get("data");
  if (data === undefined) return undefined;
  return { id: fields.get("id") ?? "", event: fields.get("event") ?? "", data: JSON.parse(data) };
}

/** Opens a stream and reads it until it ends or is closed. An answer that is not documented fails the test. */
export async function openEvents(system: Pick<System, "baseUrl">, { token, since, lastEventId }: Wanted) {
  const url = `${system.baseUrl}/events${since === undefined ? "" : `?since=${since}`}`;
  const headers = {
    Authorization: `Bearer ${token}`,
    ...(lastEventId === undefined ? {} : { "Last-Event-ID": lastEventId }),
  };
  const sent = request(url, { headers, agent: false });
  sent.end();
  const [response]: IncomingMessage[] = await once(sent, "response");
  if (!response) throw new Error("There is no answer.");

  const events: LiveEvent[] = [];
  let raw = "";
  let rest = "";
  let over = false;
  let look = (): void => {};
  response.setEncoding("utf8").on("data", (chunk: string) => {
    raw += chunk;
    const blocks = (rest + chunk).split("\n\n");
    rest = blocks.pop() ?? "";
    events.push(...blocks.flatMap((block) => parse(block) ?? []));
    look();
  });
  // `end` of a clean one; a connection that is cut has none.
  const ended = new Promise<"ended" | "cut">((resolve) => {
    let clean = false;
    response.on("error", () => {});
    response.once("end", () => {
      clean = true;
    });
    response.once("close", () => {
      over = true;
      look();
      resolve(clean ? "ended" : "cut");
    });
  });

  const { statusCode: status = 0 } = response;
  assertDocumented("GET", "/events", {
    status,
    headers: new Headers(flat(response.headers)),
    body: status === 200 ? "retry: 2000" : await ended.then(() => JSON.parse(raw)),
  });

  /** Resolves when what came makes it true; rejects when the stream is over before. */
  function until(satisfied: () => boolean, what = "what was waited for"): Promise<void> {
    return new Promise((resolve, reject) => {
      const before = look;
      look = () => {
        before();
        if (satisfied()) resolve();
        else if (over) reject(new Error(`The stream was over before ${what}: ${JSON.stringify(events)}`));
      };
      look();
    });
  }

  return {
    status,
    headers: response.headers,
    events,
    raw: () => raw,
    until,
    /** So many events, from the first. */
    take: async (count: number): Promise<LiveEvent[]> => {
      await until(() => events.length >= count, `${count} events`);
      return events.slice(0, count);
    },
    seqs: () => events.map(({ data }) => data.seq),
    ended,
    /** Cuts the connection, as a network would. */
    close: async (): Promise<void> => {
      response.destroy();
      await ended;
    },
  };
}

const flat = (headers: IncomingHttpHeaders): [string, string][] =>
  Object.entries(headers).map(([name, value]) => [name, String(value)]);

/** Fails when it takes longer than so many milliseconds. */
export async function within<T>(ms: number, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`It took longer than ${ms} ms.`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
