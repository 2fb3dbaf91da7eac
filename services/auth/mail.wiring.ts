import { clock } from "../../lib/clock.ts";
import { observeDatabase } from "../../lib/observe-sql.ts";
import { openDatabase } from "../../mixins/database.ts";
import type { Audit } from "./audit.logic.ts";
import { createMailedTokens } from "./mailed-tokens.logic.ts";
import { createLogMailer, createSmtpMailer, withoutTokens } from "./mailer.ts";
import { createMailRepository } from "./mails.repository.ts";
import { observeMailer } from "./metrics.ts";
import type { AuthEnv, Node } from "./node.ts";
import { createOutbox, SEND_TIMEOUT_MS } from "./outbox.logic.ts";

/** Mails of one kind that a person gets before more are dropped for a while. */
const MAIL_LIMIT = 3;
/** Milliseconds that a sending has beyond its time, to end and to be written down. */
const SEND_MARGIN = 10_000;

/** Puts together what sends mails: it runs by itself, and is woken for what is new. */
export function wireMail(env: AuthEnv, { log, audit }: Pick<Node, "log"> & { audit: Audit }) {
  // Of its own: a mail on its way holds a connection, in a transaction that has nothing else to do.
  const idleInTransaction = SEND_TIMEOUT_MS + SEND_MARGIN;
  const database = openDatabase(env.AUTH_DATABASE_URL, { max: 2 }, { idleInTransaction });
  observeDatabase("auth-mails", database);
  const publicUrl = env.PUBLIC_URL ?? `http://localhost:${env.PORT}`;
  const tokens = createMailedTokens(env.AUTH_SECRET);
  const outbox = createOutbox({
    mails: createMailRepository(database),
    mailedTokens: tokens,
    send: observeMailer(
      env.SMTP_URL && env.MAIL_FROM
        ? createSmtpMailer({ url: env.SMTP_URL, from: env.MAIL_FROM })
        : createLogMailer((mail, subject) => log().info(mail, subject)),
    ),
    pages: {
      reset_password: env.RESET_URL ?? `${publicUrl}/account/reset`,
      verify_email: env.VERIFY_URL ?? `${publicUrl}/account/verify`,
    },
    limit: env.RATE_LIMIT === "off" ? Number.POSITIVE_INFINITY : MAIL_LIMIT,
    audit,
    onRefused: (error) =>
      log().warn({ reason: withoutTokens(error) }, "mail has no recipient and is given up"),
    onError: (error, attempts) =>
      log().warn({ reason: withoutTokens(error), attempts }, "mail could not be sent and is tried again"),
    onOutage: (error) =>
      log().warn({ reason: withoutTokens(error) }, "the database does not give the mails that wait"),
    clock,
  });

  return {
    tokens,
    wake: outbox.wake,

    start(): void {
      if (env.AMQP_URL && !env.SMTP_URL)
        log().warn("SMTP_URL is not set: links to new passwords go to the log, and to nobody's mailbox");
      if (env.SMTP_URL && !env.PUBLIC_URL && !(env.RESET_URL && env.VERIFY_URL))
        log().warn(`PUBLIC_URL is not set: links in mails begin with ${publicUrl}`);
      outbox.start();
    },

    async stop(): Promise<void> {
      await outbox.stop();
      await database.close();
    },
  };
}
