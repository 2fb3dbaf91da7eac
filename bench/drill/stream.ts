import { get, type IncomingMessage } from "node:http";
import { setTimeout as delay } from "node:timers/promises";

/** One person's live events, followed as a browser does: whenever the stream ends, from where it was. */
export function followEvents(gateways: readonly string[], token: () => string) {
  const seqs: number[] = [];
  let lastId: string | undefined;
  let current: IncomingMessage | undefined;
  let closed = false;

  const open = (gateway: string): Promise<void> =>
    new Promise((over) => {
      const headers = {
        Authorization: `Bearer ${token()}`,
        ...(lastId === undefined ? {} : { "Last-Event-ID": lastId }),
      };
      get(`${gateway}/events`, { headers, agent: false }, (response) => {
        current = response;
        let rest = "";
        response.setEncoding("utf8").on("data", (chunk: string) => {
          const blocks = (rest + chunk).split("\n\n");
          rest = blocks.pop() ?? "";
          for (const block of response.statusCode === 200 ? blocks : []) {
            lastId = /^id: (.*)$/m.exec(block)?.[1] ?? lastId;
            const seq = /^data: .*?"seq":(\d+)/m.exec(block)?.[1];
            if (seq !== undefined) seqs.push(Number(seq));
          }
        });
        response.on("error", () => {});
        response.once("close", over);
      }).once("error", () => over());
    });

  const following = (async () => {
    for (let n = Math.floor(Math.random() * 2); !closed; n++) {
      await open(gateways[n % gateways.length] ?? "");
      await delay(300);
    }
  })();

  return {
    seqs,
    async close(): Promise<void> {
      closed = true;
      current?.destroy();
      await following;
    },
  };
}
