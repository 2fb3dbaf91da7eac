import { availableParallelism } from "node:os";
import type { Service, ServiceBroker, ServiceSchema } from "moleculer";
import { loadEnv } from "../../config/env.ts";
import { action, openAction, readyAction } from "../../lib/action.ts";
import { observeDatabase } from "../../lib/observe-sql.ts";
import { databaseMixin, openDatabase } from "../../mixins/database.ts";
import { createAccessTokens } from "./access-tokens.logic.ts";
import { createAccountLogic } from "./accounts.logic.ts";
import { createAdminLogic } from "./admin.logic.ts";
import { createApiTokenLogic } from "./api-tokens.logic.ts";
import { createApiTokenRepository } from "./api-tokens.repository.ts";
import { createAudit } from "./audit.logic.ts";
import { createAuditRepository } from "./audit.repository.ts";
import { authActions, MAX_PASSWORD_BYTES } from "./auth.schema.ts";
import { listenForChanges } from "./changes.repository.ts";
import { createClientLogic } from "./clients.logic.ts";
import { createClientRepository } from "./clients.repository.ts";
import { createEraser } from "./erasures.logic.ts";
import { createErasureRepository } from "./erasures.repository.ts";
import { createHashQueue, maxWaitingFor } from "./hash-queue.logic.ts";
import { yieldToEventLoops } from "./hash-threads.ts";
import { createIdentityLogic } from "./identities.logic.ts";
import { createKeyring } from "./keys.logic.ts";
import { createKeyRepository } from "./keys.repository.ts";
import { createMailedTokens } from "./mailed-tokens.logic.ts";
import { createMailedTokenRepository } from "./mailed-tokens.repository.ts";
import { createLogMailer, createSmtpMailer, withoutTokens } from "./mailer.ts";
import { createMailRepository } from "./mails.repository.ts";
import { authEvents, hashRefusals, hashWaits, observeHashQueue } from "./metrics.ts";
import { createOutbox } from "./outbox.logic.ts";
import { createPasswords } from "./passwords.logic.ts";
import { createRecoveryLogic } from "./recovery.logic.ts";
import { createSessionLogic } from "./sessions.logic.ts";
import { createSessionRepository } from "./sessions.repository.ts";
import { createThrottle, unthrottled } from "./throttle.logic.ts";
import { createThrottleRepository } from "./throttles.repository.ts";
import { createUserRepository } from "./users.repository.ts";

const env = loadEnv("AUTH_DATABASE_URL", "AUTH_SECRET");
const clock = Date.now;

const database = openDatabase(env.AUTH_DATABASE_URL);
observeDatabase("auth", database);
const users = createUserRepository(database);
const sessions = createSessionRepository(database);
const keys = createKeyRepository(database);
const apiTokens = createApiTokenRepository(database);
const auditEvents = createAuditRepository(database);
const erasures = createErasureRepository(database);
const clients = createClientRepository(database);

const keyring = createKeyring({ keys, secret: env.AUTH_SECRET, clock });
const accessTokens = createAccessTokens({
  keyring,
  namespace: env.MESH_NAMESPACE,
  ttl: env.ACCESS_TOKEN_TTL,
  clock,
});
/** Hashes at once: one core is left for everything else, and one thread of libuv's four. */
const HASHES_AT_ONCE = Math.max(1, Math.min(availableParallelism() - 1, 3));
const hashQueue = createHashQueue({
  running: HASHES_AT_ONCE,
  waiting: maxWaitingFor(env.BCRYPT_COST, HASHES_AT_ONCE),
  clock,
  onTurn: (waited) => hashWaits.observe(waited / 1000),
  onRefused: (reason) => hashRefusals.inc({ reason }),
});
observeHashQueue(hashQueue.counts);
const passwords = createPasswords({ cost: env.BCRYPT_COST, maxBytes: MAX_PASSWORD_BYTES, queue: hashQueue });

/** Milliseconds until a service that was down is asked again to erase what it holds of deleted accounts. */
const ERASURE_INTERVAL = 2_000;
let sweeping: NodeJS.Timeout;

let logger: Service["logger"];
let broker: ServiceBroker;
const audit = createAudit({
  store: auditEvents,
  log(entry) {
    const { event, result } = entry;
    authEvents.inc({ event, result });
    logger.info({ audit: entry }, `audit ${event}`);
  },
  clock,
});

const throttle =
  env.RATE_LIMIT === "off"
    ? unthrottled
    : createThrottle({
        throttles: createThrottleRepository(database),
        audit,
        secret: env.AUTH_SECRET,
        clock,
      });
/** Milliseconds between removals of what throttles no longer need. */
const THROTTLE_SWEEP_INTERVAL = 10 * 60_000;
let throttleSweep: NodeJS.Timeout;

/** auth's own passport: for one person, to erase what a service holds of them. */
const eraser = createEraser({
  erasures,
  services: env.CONTENT_SERVICES,
  eraseIn: (service, userId) =>
    broker.call(`${service}.eraseAll`, {}, { meta: { passport: accessTokens.ownPassport(userId) } }),
  onError: (error, service) => logger.warn({ err: error, service }, "an erasure has to be asked for again"),
  clock,
});

/** Mails of one kind that a person gets in an hour. */
const HOURLY_MAILS = 3;
/** Of its own: a mail on its way holds a connection. */
const outboxDatabase = openDatabase(env.AUTH_DATABASE_URL, { max: 2 });
observeDatabase("auth-mails", outboxDatabase);
const publicUrl = env.PUBLIC_URL ?? `http://localhost:${env.PORT}`;
const mailedTokens = createMailedTokens(env.AUTH_SECRET);
const outbox = createOutbox({
  mails: createMailRepository(outboxDatabase),
  mailedTokens,
  send:
    env.SMTP_URL && env.MAIL_FROM
      ? createSmtpMailer({ url: env.SMTP_URL, from: env.MAIL_FROM })
      : createLogMailer((mail, subject) => logger.info(mail, subject)),
  pages: {
    reset_password: env.RESET_URL ?? `${publicUrl}/account/reset`,
    verify_email: env.VERIFY_URL ?? `${publicUrl}/account/verify`,
  },
  hourlyLimit: env.RATE_LIMIT === "off" ? Number.POSITIVE_INFINITY : HOURLY_MAILS,
  audit,
  onError: (error, attempts) =>
    logger.warn({ reason: withoutTokens(error), attempts }, "mail could not be sent and is tried again"),
  clock,
});
const recovery = createRecoveryLogic({
  mails: createMailRepository(database),
  tokens: createMailedTokenRepository(database),
  mailedTokens,
  passwords,
  audit,
  wake: outbox.wake,
  clock,
});

const accounts = createAccountLogic({
  users,
  sessions,
  erasures,
  eraser,
  passwords,
  throttle,
  wakeOutbox: outbox.wake,
  audit,
  clock,
});
const signIns = createSessionLogic({
  users,
  sessions,
  passwords,
  throttle,
  recovery,
  requireVerifiedEmail: env.REQUIRE_VERIFIED_EMAIL === "on",
  accessTokens,
  audit,
  secret: env.AUTH_SECRET,
  refreshTtl: env.REFRESH_TOKEN_TTL,
  clock,
});
const tokens = createApiTokenLogic({ apiTokens, audit, clock });
const services = createClientLogic({ clients, users, accessTokens, audit });
const admin = createAdminLogic({ users, auditEvents, audit, clock });
const identities = createIdentityLogic({
  sessions,
  apiTokens,
  accessTokens,
  clock,
  onError: (error) => logger.warn({ err: error }, "a use could not be written down"),
});
const changes = listenForChanges({
  url: env.AUTH_DATABASE_URL,
  onChange(change) {
    identities.forget(change);
    if (change.kind === "keys")
      keyring.open().catch((error: unknown) => logger.error({ err: error }, "no new key"));
  },
  onState: identities.trust,
  onError: (error) =>
    logger.warn({ err: error }, "changes are not told at present: sessions are read at each request"),
});

/** Answers when this replica has heard of the change it made, so that the caller's next request meets it. */
async function told<T>(change: Promise<T>): Promise<T> {
  const result = await change;
  await changes.caughtUp();
  return result;
}

/** Accounts, sessions and the tokens that prove them. */
const authService: ServiceSchema = {
  name: "auth",
  mixins: [databaseMixin(database, users.model)],

  actions: {
    register: openAction(authActions.register, (params, client) => accounts.register(params, client)),
    login: openAction(authActions.login, (params, client) => signIns.login(params, client)),
    refresh: openAction(authActions.refresh, (params, client) => signIns.refresh(params, client)),
    logout: action(authActions.logout, (_, caller) => told(signIns.logout(caller))),
    verify: openAction(authActions.verify, ({ token }) => identities.verify(token)),
    jwks: openAction(authActions.jwks, async () => keyring.jwks()),

    me: action(authActions.me, (_, { userId }) => accounts.me(userId)),
    updateMe: action(authActions.updateMe, ({ patch }, { userId }) => told(accounts.update(userId, patch))),
    deleteMe: action(authActions.deleteMe, ({ password }, caller) => told(accounts.remove(caller, password))),
    changePassword: action(authActions.changePassword, (params, caller) =>
      told(accounts.changePassword(caller, params)),
    ),

    forgotPassword: openAction(authActions.forgotPassword, (params, client) =>
      recovery.forgotPassword(params, client),
    ),
    resetPassword: openAction(authActions.resetPassword, (params, client) =>
      told(recovery.resetPassword(params, client)),
    ),
    verifyEmail: openAction(authActions.verifyEmail, (params, client) =>
      recovery.verifyEmail(params, client),
    ),

    listSessions: action(authActions.listSessions, (_, caller) => signIns.list(caller)),
    endSession: action(authActions.endSession, ({ id }, caller) => told(signIns.end(caller, id))),
    endOtherSessions: action(authActions.endOtherSessions, (_, caller) => told(signIns.endOthers(caller))),

    createToken: action(authActions.createToken, (wanted, caller) => tokens.create(caller, wanted)),
    listTokens: action(authActions.listTokens, (_, caller) => tokens.list(caller)),
    deleteToken: action(authActions.deleteToken, ({ id }, caller) => told(tokens.remove(caller, id))),

    listUsers: action(authActions.listUsers, (params) => admin.listUsers(params)),
    changeUser: action(authActions.changeUser, ({ id, patch }, caller) =>
      told(admin.changeUser(caller, id, patch)),
    ),
    listAuditEvents: action(authActions.listAuditEvents, (params) => admin.listAuditEvents(params)),

    clientPassport: openAction(authActions.clientPassport, (params) => services.passport(params)),
    listPeople: action(authActions.listPeople, (params, caller) => services.people(caller, params)),

    ready: readyAction(() => database.query("SELECT 1")),
  },

  created() {
    logger = this.logger;
    broker = this.broker;
  },

  async started() {
    await keyring.open();
    passwords.expectCost(await users.findHighestHashCost());
    yieldToEventLoops();
    throttleSweep = setInterval(() => {
      throttle
        .sweep()
        .catch((error: unknown) => logger.warn({ err: error }, "old throttles could not be removed"));
    }, THROTTLE_SWEEP_INTERVAL);
    await changes.start();
    if (env.AMQP_URL && !env.SMTP_URL)
      logger.warn("SMTP_URL is not set: links to new passwords go to the log, and to nobody's mailbox");
    if (env.SMTP_URL && !env.PUBLIC_URL && !(env.RESET_URL && env.VERIFY_URL))
      logger.warn(`PUBLIC_URL is not set: links in mails begin with ${publicUrl}`);
    outbox.start();
    sweeping = setInterval(() => {
      eraser.sweep().catch((error: unknown) => logger.warn({ err: error }, "erasures wait for the database"));
    }, ERASURE_INTERVAL);
  },

  async stopped() {
    clearInterval(sweeping);
    clearInterval(throttleSweep);
    await changes.close();
    await outbox.stop();
    await outboxDatabase.close();
  },
};

export default authService;
