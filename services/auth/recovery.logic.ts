import { v7 as uuidv7 } from "uuid";
import type { Client } from "../../lib/action.ts";
import { problem } from "../../lib/errors.ts";
import type { Audit } from "./audit.logic.ts";
import type { MailedTokens, Purpose } from "./mailed-tokens.logic.ts";
import type { MailedTokenRepository } from "./mailed-tokens.repository.ts";
import type { MailRepository, MailRow } from "./mails.repository.ts";
import type { Passwords } from "./passwords.logic.ts";
import type { Throttle } from "./throttle.logic.ts";

interface RecoveryOptions {
  mails: Pick<MailRepository, "insert">;
  tokens: MailedTokenRepository;
  mailedTokens: MailedTokens;
  passwords: Pick<Passwords, "choose">;
  throttle: Pick<Throttle, "link">;
  audit: Audit;
  /** Tells the outbox that there is something in it. */
  wake: () => void;
  clock: () => number;
}

const invalidToken = () =>
  problem("invalid_mailed_token", "The link has been used, has expired or was never one.");

/** A mail that somebody wants to have at an address. */
export const requestMail = (purpose: Purpose, email: string, client: Client, now: Date): MailRow => ({
  id: uuidv7(),
  purpose,
  email,
  client,
  requestedAt: now,
  tokenId: null,
  attempts: 0,
  nextAttemptAt: now,
});

export type RecoveryLogic = ReturnType<typeof createRecoveryLogic>;

/** What people do by mail: getting back into their account, and showing that an address is theirs. */
export function createRecoveryLogic(options: RecoveryOptions) {
  const { mails, tokens, mailedTokens, passwords, throttle, audit, wake, clock } = options;

  async function ask(purpose: Purpose, email: string, client: Client): Promise<void> {
    await mails.insert(requestMail(purpose, email, client, new Date(clock())));
    wake();
  }

  return {
    /**
     * Notes that somebody asked, whoever's address it is: nothing here looks it up, so nothing here can tell, neither
     * by its answer nor by its time. The outbox does, later.
     *
     * @throws too_many_attempts, alike for any address
     */
    async forgotPassword({ email }: { email: string }, client: Client): Promise<{ detail: string }> {
      await throttle.link({ email, client });
      await ask("reset_password", email, client);
      return { detail: "If there is an account with this address, a mail is on its way to it." };
    },

    /** Sends another link, unless there were several already. */
    sendVerification: (email: string, client: Client): Promise<void> => ask("verify_email", email, client),

    /** @throws invalid_mailed_token; validation_failed for the password, which leaves the token as good as it was */
    async resetPassword(
      { token, newPassword }: { token: string; newPassword: string },
      client: Client,
    ): Promise<null> {
      const id = mailedTokens.read("reset_password", token);
      const found = id && (await tokens.find(id));
      // Before anything is hashed: this is not what decides.
      if (!found || found.usedAt || found.expiresAt.getTime() <= clock()) throw invalidToken();
      const hash = await passwords.choose(newPassword, { email: found.email, field: "newPassword" });
      const userId = await tokens.setPassword(found.id, hash, new Date(clock()));
      await audit({
        event: "password_reset",
        result: userId ? "success" : "failure",
        userId: found.userId,
        client,
      });
      if (!userId) throw invalidToken();
      return null;
    },

    /** @throws invalid_mailed_token */
    async verifyEmail({ token }: { token: string }, client: Client): Promise<null> {
      const id = mailedTokens.read("verify_email", token);
      const userId = id && (await tokens.verifyEmail(id, new Date(clock())));
      if (!userId) throw invalidToken();
      await audit({ event: "email_verify", result: "success", userId, client });
      return null;
    },
  };
}
