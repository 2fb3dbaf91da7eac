import { setTimeout as delay } from "node:timers/promises";
import { v7 as uuidv7 } from "uuid";
import type { Caller, Client } from "../../lib/action.ts";
import { problem } from "../../lib/errors.ts";
import type { User } from "./accounts.schema.ts";
import type { Audit } from "./audit.logic.ts";
import type { Eraser } from "./erasures.logic.ts";
import type { ErasureRepository } from "./erasures.repository.ts";
import type { Passwords } from "./passwords.logic.ts";
import { requestMail } from "./recovery.logic.ts";
import type { Throttle } from "./throttle.logic.ts";
import type { UserRepository, UserRow } from "./users.repository.ts";

interface AccountOptions {
  users: UserRepository;
  erasures: ErasureRepository;
  eraser: Pick<Eraser, "erase">;
  passwords: Passwords;
  throttle: Throttle;
  /** Tells the outbox that there is something in it. */
  wakeOutbox: () => void;
  audit: Audit;
  clock: () => number;
}

/** Milliseconds that who deletes their account waits for its content to be erased, too. */
const ERASURE_WAIT = 1_000;

/** Of who did not say which language they like. */
const DEFAULT_LOCALE = "en";

/** A user as callers see it: never the password's hash. */
export const toUserView = (user: UserRow): User => ({
  id: user.id,
  email: user.email,
  emailVerified: user.emailVerified,
  name: user.name,
  role: user.role,
  timeZone: user.timeZone,
  locale: user.locale,
  createdAt: user.createdAt.toISOString(),
});

// The passport was good when the call began: the account went in between.
export const lastAdmin = () => problem("last_admin", "Make somebody else an administrator first.");
const accountGone = () => problem("invalid_token", "The account does not exist any more.");

/** Creating, changing and deleting accounts. */
export function createAccountLogic(options: AccountOptions) {
  const { users, erasures, eraser, passwords, throttle, wakeOutbox, audit, clock } = options;

  return {
    /**
     * Also mails a link that verifies the address, in the language of who registers.
     *
     * @param operationId of the request, which may come again by itself: it becomes the user's id
     * @throws email_taken
     */
    async register(
      input: { email: string; password: string; name: string },
      client: Client,
      operationId?: string,
    ): Promise<User> {
      const now = new Date(clock());
      const user: UserRow = {
        id: operationId ?? uuidv7(),
        email: input.email,
        passwordHash: await passwords.choose(input.password, { email: input.email, field: "password" }),
        name: input.name,
        role: "user",
        timeZone: "UTC",
        locale: client.locale ?? DEFAULT_LOCALE,
        emailVerified: false,
        disabledAt: null,
        createdAt: now,
      };
      if (!(await users.insert(user, requestMail("verify_email", user.email, client, now)))) {
        const taken = await users.findByEmail(user.email);
        if (operationId !== undefined && taken?.id === operationId) return toUserView(taken);
        throw problem("email_taken", "There is an account with this e-mail address already.");
      }
      wakeOutbox();
      await audit({ event: "register", result: "success", userId: user.id, client });
      return toUserView(user);
    },

    async me(userId: string): Promise<User> {
      const user = await users.find(userId);
      if (!user) throw accountGone();
      return toUserView(user);
    },

    async update(
      userId: string,
      patch: { name?: string; timeZone?: string; locale?: string },
    ): Promise<User> {
      const user =
        Object.keys(patch).length > 0 ? await users.update(userId, patch) : await users.find(userId);
      if (!user) throw accountGone();
      return toUserView(user);
    },

    /**
     * Ends every other session: whoever may have learnt the old password is out.
     *
     * @throws wrong_password
     */
    async changePassword(
      { userId, sessionId, from: client }: Caller,
      { currentPassword, newPassword }: { currentPassword: string; newPassword: string },
    ): Promise<null> {
      const user = await users.find(userId);
      if (!user) throw accountGone();
      const wrong = async (detail: string): Promise<Error> => {
        await audit({ event: "password_change", result: "failure", userId, sessionId, client });
        return problem("wrong_password", detail);
      };
      const compare = () => passwords.matches(currentPassword, user.passwordHash);
      if (!(await throttle.password({ userId, sessionId, client }, compare)))
        throw await wrong("The current password is wrong.");
      const to = await passwords.choose(newPassword, { email: user.email, field: "newPassword" });
      const change = { from: user.passwordHash, to, keep: sessionId, now: new Date(clock()) };
      if (!(await users.changePassword(userId, change)))
        throw await wrong("The password has been changed meanwhile.");
      await audit({ event: "password_change", result: "success", userId, sessionId, client });
      return null;
    },

    /**
     * The account is gone at once; what other services hold of it is erased right away where they answer within a second,
     * and as soon as they do where they don't.
     *
     * @throws wrong_password, last_admin
     */
    async remove({ userId, sessionId, from: client }: Caller, password: string): Promise<null> {
      const user = await users.find(userId);
      if (!user) throw accountGone();
      const compare = () => passwords.matches(password, user.passwordHash);
      if (!(await throttle.password({ userId, sessionId, client }, compare))) {
        await audit({ event: "account_delete", result: "failure", userId, sessionId, client });
        throw problem("wrong_password", "The password is wrong.");
      }
      const requestedAt = new Date(clock());
      if ((await erasures.removeUser(userId, requestedAt)) === "last_admin") throw lastAdmin();
      await audit({ event: "account_delete", result: "success", userId, sessionId, client });
      const erased = eraser.erase({ userId, requestedAt });
      await Promise.race([erased, delay(ERASURE_WAIT, undefined, { ref: false })]);
      return null;
    },
  };
}
