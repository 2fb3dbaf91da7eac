import { createTransport } from "nodemailer";
import { type Mailer, type OutgoingMail, RecipientRefused } from "./outbox.logic.ts";

interface SmtpOptions {
  /** smtp:// or smtps://, with user and password; its query sets further options of nodemailer. */
  url: string;
  /** "Taskmesh <no-reply@example.com>" */
  from: string;
}

/** Milliseconds, each: a server that hangs is one that is down. */
const TIMEOUTS = {
  connectionTimeout: 5_000,
  greetingTimeout: 5_000,
  dnsTimeout: 5_000,
  socketTimeout: 10_000,
};

/** Hands mails over by SMTP, one connection each. Rejects unless the server has accepted the mail. */
export function createSmtpMailer({ url, from }: SmtpOptions): Mailer {
  const transport = createTransport({ url, ...TIMEOUTS, disableFileAccess: true, disableUrlAccess: true });
  const domain = from.replace(/^.*@|>$/g, "");
  return async ({ id, to, subject, text, html }, signal) => {
    const sent = transport.sendMail({
      from,
      // Not as text, which could be read as several addresses.
      to: { name: "", address: to },
      subject,
      text,
      html,
      messageId: `<${id}@${domain}>`,
      // RFC 3834: nobody's holiday notice is wanted.
      headers: { "Auto-Submitted": "auto-generated" },
      signal,
    });
    await sent.catch((error: unknown) => {
      throw isRefusal(error) ? new RecipientRefused(error.message) : error;
    });
  };
}

/** Of the recipient, and permanent (RFC 5321, section 4.2.1). */
const isRefusal = (error: unknown): error is Error =>
  error instanceof Error &&
  "command" in error &&
  error.command === "RCPT TO" &&
  "responseCode" in error &&
  /^55\d$/.test(String(error.responseCode));

/** Shows the link in the log, for who runs Taskmesh for themselves. */
export const createLogMailer =
  (log: (mail: Pick<OutgoingMail, "to" | "link">, subject: string) => void): Mailer =>
  async ({ to, link, subject }) =>
    log({ to, link }, subject);

/** What a server says about a mail may quote it: no log shall hold what opens an account. */
export const withoutTokens = (error: unknown): string =>
  (error instanceof Error ? error.message : String(error)).replace(/tmm_[\w-]+/g, "tmm_…");
