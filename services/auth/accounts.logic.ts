import { v7 as uuidv7 } from "uuid";
import { problem } from "../../lib/errors.ts";
import type { User } from "./auth.schema.ts";
import type { Passwords } from "./passwords.logic.ts";
import type { SessionRepository } from "./sessions.repository.ts";
import type { UserRepository, UserRow } from "./users.repository.ts";

interface AccountOptions {
  users: UserRepository;
  sessions: SessionRepository;
  passwords: Passwords;
  clock: () => number;
}

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
const accountGone = () => problem("invalid_token", "The account does not exist any more.");

/** Creating, changing and deleting accounts. */
export function createAccountLogic({ users, sessions, passwords, clock }: AccountOptions) {
  return {
    /** @throws email_taken */
    async register(input: { email: string; password: string; name: string }): Promise<User> {
      const user: UserRow = {
        id: uuidv7(),
        email: input.email,
        passwordHash: await passwords.hash(input.password),
        name: input.name,
        role: "user",
        timeZone: "UTC",
        locale: "en",
        emailVerified: false,
        disabledAt: null,
        createdAt: new Date(clock()),
      };
      if (!(await users.insert(user))) {
        throw problem("email_taken", "There is an account with this e-mail address already.");
      }
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
     * Sessions end first, so that nothing new appears while `eraseContent` removes what other services hold; the
     * account goes last, so that a failure in between leaves something to sign in to and delete again.
     *
     * @throws wrong_password, or what `eraseContent` fails with
     */
    async remove(userId: string, password: string, eraseContent: () => Promise<unknown>): Promise<null> {
      const user = await users.find(userId);
      if (!user) throw accountGone();
      if (!(await passwords.matches(password, user.passwordHash))) {
        throw problem("wrong_password", "The password is wrong.");
      }
      await sessions.endAll(userId, new Date(clock()));
      await eraseContent();
      await users.remove(userId);
      return null;
    },
  };
}
