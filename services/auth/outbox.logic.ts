import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import type { Audit, AuditEntry } from "./audit.logic.ts";
import { LIFETIME_MS, type MailedTokens, type Purpose } from "./mailed-tokens.logic.ts";
import { type RenderedMail, renderMail } from "./mails.logic.ts";
import type { DueMail, MailedTokenRow, MailRepository, MailRequest } from "./mails.repository.ts";

/** What is handed to SMTP, or shown in the log. */
export interface OutgoingMail extends RenderedMail {
  /** The same at every attempt, so that a mail that arrived twice can be told. */
  id: string;
  to: string;
  link: string;
}

/** @throws RecipientRefused, and whatever passes by itself */
export type Mailer = (mail: OutgoingMail, signal: AbortSignal) => Promise<void>;

/** The mail server says for good that there is no such mailbox: to ask again would be in vain. */
export class RecipientRefused extends Error {}

interface OutboxOptions {
  mails: Omit<MailRepository, "insert">;
  mailedTokens: MailedTokens;
  send: Mailer;
  /** Pages that the links lead to. */
  pages: Record<Purpose, string>;
  /** Mails of one kind that a person gets in an hour, of resets in 30 minutes; more are dropped without a word. */
  limit: number;
  audit: Audit;
  /** Told of a mail that nobody gets. */
  onRefused: (error: RecipientRefused) => void;
  /** Told of what is tried again later. */
  onError: (error: unknown, attempts: number) => void;
  /** Told once each time that what waits can't be had from the database: the next look is soon. */
  onOutage: (error: unknown) => void;
  clock: () => number;
}

const HOUR_MS = 3_600_000;
/**
 * No longer than a link to a new password works: whoever was given too many has one that works, even if it was somebody
 * else who asked for them.
 */
const LIMIT_WINDOW_MS: Record<Purpose, number> = {
  reset_password: LIFETIME_MS.reset_password,
  verify_email: HOUR_MS,
};
/** How soon what another process left is found. */
const POLL_INTERVAL_MS = 2_000;
/** Mails on their way at once; a server that hangs holds up no more than these. */
const LANES = 2;
export const SEND_TIMEOUT_MS = 20_000;
/** How long a stopping service waits for a mail on its way. */
const STOP_GRACE_MS = 3_000;
/** How long links are remembered that don't work any more. */
const KEEP_TOKENS_MS = 24 * HOUR_MS;

/** Milliseconds after so many failures: 2 s, 4 s, 8 s, … an hour. */
export const retryDelay = (failures: number): number => Math.min(1_000 * 2 ** failures, HOUR_MS);

/** Not the moment of the request, whose time would tell whether there was a mail to make. */
const wakeDelay = (): number => 50 + Math.random() * 150;

/**
 * Sends what waits in the database. Every replica of auth does; a row is one's at a time, and stays until its mail
 * was handed over or its link has expired.
 */
export function createOutbox(options: OutboxOptions) {
  const { mails, mailedTokens, send, pages, limit, audit, onRefused, onError, onOutage, clock } = options;
  const cut = new AbortController();
  let nap = new AbortController();
  let stopping = false;
  let lanes: Promise<unknown> | undefined;
  let waking = false;
  let isOut = false;
  let forgotAt = 0;

  /** Looks up whose the address is, and whether there is reason for a mail. */
  async function takeRequest(): Promise<boolean> {
    const now = clock();
    let entry: AuditEntry | undefined;
    const taken = await mails.takeRequest(
      { now: new Date(now), since: (purpose) => new Date(now - LIMIT_WINDOW_MS[purpose]) },
      (request) => {
        const refusal = refuse(request, limit);
        entry = auditOf(request, refusal);
        return refusal === null && request.user ? newToken(request, request.user.id, now) : null;
      },
    );
    if (entry) await audit(entry);
    return taken;
  }

  async function deliver({ mail, token, user }: DueMail): Promise<Date | null> {
    if (token.usedAt || token.expiresAt.getTime() <= clock() || user.email !== token.email) return null;
    const link = `${pages[token.purpose]}#token=${mailedTokens.write(token.purpose, token.id)}`;
    const rendered = renderMail(token.purpose, { locale: user.locale, link });
    try {
      const signal = AbortSignal.any([AbortSignal.timeout(SEND_TIMEOUT_MS), cut.signal]);
      await send({ ...rendered, id: mail.id, to: token.email, link }, signal);
      return null;
    } catch (error) {
      if (error instanceof RecipientRefused) {
        onRefused(error);
        return null;
      }
      onError(error, mail.attempts + 1);
      return new Date(clock() + retryDelay(mail.attempts + 1));
    }
  }

  async function forgetOld(): Promise<boolean> {
    if (clock() - forgotAt < HOUR_MS) return false;
    forgotAt = clock();
    await mails.forgetTokens(new Date(clock() - KEEP_TOKENS_MS));
    return false;
  }

  async function lane(): Promise<void> {
    while (!stopping) {
      try {
        const worked =
          (await takeRequest()) || (await mails.takeDue(new Date(clock()), deliver)) || (await forgetOld());
        isOut = false;
        if (worked) continue;
      } catch (error) {
        if (!isOut) onOutage(error);
        isOut = true;
      }
      await delay(POLL_INTERVAL_MS, undefined, { signal: nap.signal }).catch(() => {});
    }
  }

  function rouse(): void {
    waking = false;
    nap.abort();
    if (!stopping) nap = new AbortController();
  }

  return {
    start(): void {
      lanes ??= Promise.all(Array.from({ length: LANES }, lane));
    },

    /** There is something to do: not to wait for the next look. */
    wake(): void {
      if (waking) return;
      waking = true;
      setTimeout(rouse, wakeDelay()).unref();
    },

    /** Waits for what is on its way; what does not get there in time is tried again by whoever runs then. */
    async stop(): Promise<void> {
      stopping = true;
      rouse();
      const grace = setTimeout(() => cut.abort(), STOP_GRACE_MS);
      await lanes;
      clearTimeout(grace);
    },
  };
}

/** Why there will be no mail; null when there will be. */
function refuse({ mail, user, recent }: MailRequest, limit: number): string | null {
  if (!user) return "unknown address";
  if (user.disabledAt) return "disabled";
  if (mail.purpose === "verify_email" && user.emailVerified) return "verified already";
  return recent >= limit ? "too many" : null;
}

/** Verifications are sent by auth itself; only what somebody asked for is worth a line. */
function auditOf({ mail, user }: MailRequest, refusal: string | null): AuditEntry | undefined {
  if (mail.purpose === "verify_email") return undefined;
  return {
    event: "password_reset_request",
    result: refusal === null ? "success" : "failure",
    client: mail.client,
    ...(user ? { userId: user.id } : {}),
    ...(refusal === null ? {} : { detail: { reason: refusal } }),
  };
}

const newToken = ({ mail }: MailRequest, userId: string, now: number): MailedTokenRow => ({
  id: uuidv7(),
  userId,
  purpose: mail.purpose,
  email: mail.email,
  createdAt: new Date(now),
  expiresAt: new Date(mail.requestedAt.getTime() + LIFETIME_MS[mail.purpose]),
  usedAt: null,
});
