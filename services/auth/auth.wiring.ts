import { availableParallelism } from "node:os";
import { clock } from "../../lib/clock.ts";
import { keepHouse } from "../../lib/housekeeping.ts";
import { observeDatabase } from "../../lib/observe-sql.ts";
import { openDatabase } from "../../mixins/database.ts";
import { createAccessTokens } from "./access-tokens.logic.ts";
import { createAccountLogic } from "./accounts.logic.ts";
import { MAX_PASSWORD_BYTES } from "./accounts.schema.ts";
import { createAdminLogic } from "./admin.logic.ts";
import { createApiTokenLogic } from "./api-tokens.logic.ts";
import { createApiTokenRepository } from "./api-tokens.repository.ts";
import { createAudit } from "./audit.logic.ts";
import { createAuditRepository } from "./audit.repository.ts";
import { wireChanges } from "./changes.wiring.ts";
import { createClientLogic } from "./clients.logic.ts";
import { createClientRepository } from "./clients.repository.ts";
import { createEraser } from "./erasures.logic.ts";
import { createErasureRepository } from "./erasures.repository.ts";
import { createHashQueue, maxWaitingFor } from "./hash-queue.logic.ts";
import { yieldToEventLoops } from "./hash-threads.ts";
import { createHousekeeping } from "./housekeeping.logic.ts";
import { createIdentityLogic } from "./identities.logic.ts";
import { createKeyring } from "./keys.logic.ts";
import { createKeyRepository } from "./keys.repository.ts";
import { wireMail } from "./mail.wiring.ts";
import { createMailedTokenRepository } from "./mailed-tokens.repository.ts";
import { createMailRepository } from "./mails.repository.ts";
import { authEvents, hashRefusals, hashWaits, observeHashQueue } from "./metrics.ts";
import type { AuthEnv, Node } from "./node.ts";
import { createPasswords } from "./passwords.logic.ts";
import { createRecoveryLogic } from "./recovery.logic.ts";
import { createSessionLogic } from "./sessions.logic.ts";
import { createSessionRepository } from "./sessions.repository.ts";
import { createThrottle, unthrottled } from "./throttle.logic.ts";
import { createThrottleRepository } from "./throttles.repository.ts";
import { createUserRepository } from "./users.repository.ts";

/** Hashes at once: one core is left for everything else, and one thread of libuv's four. */
const HASHES_AT_ONCE = Math.max(1, Math.min(availableParallelism() - 1, 3));

/** Puts the parts of auth together: repositories below, rules above them, and what runs by itself. */
export function wireAuth(env: AuthEnv, { log, call, tellGateways }: Node) {
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
  const hashQueue = createHashQueue({
    running: HASHES_AT_ONCE,
    waiting: maxWaitingFor(env.BCRYPT_COST, HASHES_AT_ONCE),
    clock,
    onTurn: (waited) => hashWaits.observe(waited / 1000),
    onRefused: (reason) => hashRefusals.inc({ reason }),
  });
  observeHashQueue(hashQueue.counts);
  const passwords = createPasswords({
    cost: env.BCRYPT_COST,
    maxBytes: MAX_PASSWORD_BYTES,
    queue: hashQueue,
  });

  const audit = createAudit({
    store: auditEvents,
    log(entry) {
      const { event, result } = entry;
      authEvents.inc({ event, result });
      log().info({ audit: entry }, `audit ${event}`);
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

  /** auth's own passport: for one person, to erase what a service holds of them. */
  const eraser = createEraser({
    erasures,
    services: env.CONTENT_SERVICES,
    eraseIn: (service, userId) => call(`${service}.eraseAll`, accessTokens.ownPassport(userId)),
    onError: (error, service) => log().warn({ err: error, service }, "an erasure has to be asked for again"),
    clock,
  });

  const mail = wireMail(env, { log, audit });
  const recovery = createRecoveryLogic({
    mails: createMailRepository(database),
    tokens: createMailedTokenRepository(database),
    mailedTokens: mail.tokens,
    passwords,
    throttle,
    audit,
    wake: mail.wake,
    clock,
  });

  const accounts = createAccountLogic({
    users,
    erasures,
    eraser,
    passwords,
    throttle,
    wakeOutbox: mail.wake,
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
    onError: (error) => log().warn({ err: error }, "a use could not be written down"),
  });
  const changes = wireChanges(env, { identities, keyring, log, tellGateways });

  const chores = createHousekeeping({
    eraser,
    throttle,
    sessions,
    auditEvents,
    keepAudit: env.AUDIT_RETENTION * 1000,
    clock,
  });
  let housework: ReturnType<typeof keepHouse> | undefined;

  return {
    database,
    users,
    keyring,
    accounts,
    signIns,
    recovery,
    tokens,
    services,
    admin,
    identities,

    told: changes.told,

    /** A service may be back: what was left for it is done soon. */
    servicesChanged: (): void => housework?.hurry(),

    async start(): Promise<void> {
      await keyring.open();
      passwords.expectCost(await users.findHighestHashCost());
      yieldToEventLoops();
      await changes.start();
      mail.start();
      housework = keepHouse(chores, (err, chore) =>
        log().warn({ err, chore }, "what has had its time could not be removed"),
      );
    },

    async stop(): Promise<void> {
      await housework?.end();
      await changes.stop();
      await mail.stop();
    },
  };
}
