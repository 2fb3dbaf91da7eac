import { setTimeout as delay } from "node:timers/promises";
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { freePort } from "./system.ts";

export interface Mail extends ParsedMail {
  /** As it was said to the server, not as the headers have it. */
  recipients: string[];
  raw: string;
}

const PATIENCE = 15_000;
/** Milliseconds: longer than a transaction of ours may do nothing, unless it is made for that. */
const DAWDLING = 3_000;

/** What an address begins with that the server knows it has not. */
export const NOBODY = "nobody-";

/** What the server does with a mail: takes it, at once or after a while, refuses it for now, or never answers. */
type Mood = "take" | "dawdle" | "refuse" | "hang";

export type MailServer = Awaited<ReturnType<typeof startMailServer>>;

/** A real SMTP server on a port of its own, without TLS. */
export async function startMailServer() {
  const port = await freePort();
  const taken: Mail[] = [];
  const waiting: { wanted: (mail: Mail) => boolean; resolve: (mail: Mail) => void }[] = [];
  let mood: Mood = "take";
  let offered = 0;
  let onOffer = (): void => {};
  let server = open();
  await listen();

  function open(): SMTPServer {
    const opened = new SMTPServer({
      authOptional: true,
      disabledCommands: ["STARTTLS", "AUTH"],
      disableReverseLookup: true,
      closeTimeout: 100,
      onRcptTo({ address }, _session, callback) {
        const refused = Object.assign(new Error("no such mailbox"), { responseCode: 550 });
        callback(address.startsWith(NOBODY) ? refused : null);
      },
      onData(stream, session, callback) {
        const chunks: Buffer[] = [];
        stream.on("data", (chunk: Buffer) => chunks.push(chunk));
        stream.on("end", async () => {
          offered += 1;
          onOffer();
          if (mood === "hang") return;
          if (mood === "refuse") return callback(Object.assign(new Error("later"), { responseCode: 451 }));
          const raw = Buffer.concat(chunks).toString();
          const recipients = session.envelope.rcptTo.map(({ address }) => address);
          take({ ...(await simpleParser(raw)), recipients, raw });
          if (mood === "dawdle") await delay(DAWDLING);
          callback();
        });
      },
    });
    // Of connections that a killed process leaves behind.
    opened.on("error", () => {});
    return opened;
  }

  function take(mail: Mail): void {
    taken.push(mail);
    for (const { wanted, resolve } of waiting) if (wanted(mail)) resolve(mail);
  }

  function listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", () => resolve());
    });
  }

  const stop = (): Promise<void> => new Promise((resolve) => server.close(() => resolve()));
  const to = (address: string) => taken.filter(({ recipients }) => recipients.includes(address));

  return {
    url: `smtp://127.0.0.1:${port}`,
    /** All mails that were taken for this address. */
    to,
    /** How many mails were offered, taken or not. */
    offered: () => offered,
    be(next: Mood): void {
      mood = next;
    },
    /** Resolves when another mail is offered, whatever becomes of it. */
    nextOffer: (): Promise<void> =>
      new Promise((resolve) => {
        onOffer = resolve;
      }),
    /** The newest mail to this address whose subject fits, as soon as there is one. */
    async find(address: string, subject: RegExp): Promise<Mail> {
      const wanted = (mail: Mail) => mail.recipients.includes(address) && subject.test(mail.subject ?? "");
      const [found] = taken.filter(wanted).slice(-1);
      if (found) return found;
      return new Promise((resolve, reject) => {
        waiting.push({ wanted, resolve });
        setTimeout(() => reject(new Error(`No mail to ${address}.`)), PATIENCE).unref();
      });
    },
    stop,
    async restart(): Promise<void> {
      server = open();
      await listen();
    },
  };
}

/** The link in a mail, from the text and from the HTML, which must have the same. */
export function linkIn(mail: Mail): URL {
  const inText = /https?:\/\/\S+/.exec(mail.text ?? "")?.[0] ?? "";
  const inHtml = /<a href="([^"]+)"/.exec(String(mail.html))?.[1];
  if (inText !== inHtml) throw new Error(`The parts have different links: ${inText}, ${inHtml}`);
  return new URL(inText);
}

export const tokenIn = (mail: Mail): string =>
  new URLSearchParams(linkIn(mail).hash.slice(1)).get("token") ?? "";
