import type { ServiceSchema } from "moleculer";
import { loadEnv } from "../../config/env.ts";
import { action, openAction, readyAction } from "../../lib/action.ts";
import { databaseMixin, openDatabase } from "../../mixins/database.ts";
import { createAccessTokens } from "./access-tokens.logic.ts";
import { createAccountLogic } from "./accounts.logic.ts";
import { authActions, MAX_PASSWORD_BYTES } from "./auth.schema.ts";
import { createKeyring } from "./keys.logic.ts";
import { createKeyRepository } from "./keys.repository.ts";
import { createPasswords } from "./passwords.logic.ts";
import { createSessionLogic } from "./sessions.logic.ts";
import { createSessionRepository } from "./sessions.repository.ts";
import { createUserRepository } from "./users.repository.ts";

const env = loadEnv("AUTH_DATABASE_URL", "AUTH_SECRET");
const clock = Date.now;

const database = openDatabase(env.AUTH_DATABASE_URL);
const users = createUserRepository(database);
const sessions = createSessionRepository(database);
const keys = createKeyRepository(database);

const keyring = createKeyring({ keys, secret: env.AUTH_SECRET, clock });
const accessTokens = createAccessTokens({
  keyring,
  namespace: env.MESH_NAMESPACE,
  ttl: env.ACCESS_TOKEN_TTL,
  clock,
});
const passwords = createPasswords({ cost: env.BCRYPT_COST, maxBytes: MAX_PASSWORD_BYTES });
const accounts = createAccountLogic({ users, sessions, passwords, clock });
const signIns = createSessionLogic({
  users,
  sessions,
  passwords,
  accessTokens,
  secret: env.AUTH_SECRET,
  refreshTtl: env.REFRESH_TOKEN_TTL,
  clock,
});

/** Accounts, sessions and the tokens that prove them. */
const authService: ServiceSchema = {
  name: "auth",
  mixins: [databaseMixin(database, users.model)],

  actions: {
    register: openAction(authActions.register, (params) => accounts.register(params)),
    login: openAction(authActions.login, (params, client) => signIns.login(params, client)),
    refresh: openAction(authActions.refresh, (params) => signIns.refresh(params)),
    logout: action(authActions.logout, (_, { sessionId }) => signIns.logout(sessionId)),
    verify: openAction(authActions.verify, ({ token }) => signIns.verify(token)),
    jwks: openAction(authActions.jwks, async () => keyring.jwks()),

    me: action(authActions.me, (_, { userId }) => accounts.me(userId)),
    updateMe: action(authActions.updateMe, ({ patch }, { userId }) => accounts.update(userId, patch)),
    deleteMe: action(authActions.deleteMe, ({ password }, { userId }, ctx) =>
      accounts.remove(userId, password, () => ctx.call("tasks.eraseAll")),
    ),

    ready: readyAction(() => database.query("SELECT 1")),
  },

  started: () => keyring.open(),
};

export default authService;
