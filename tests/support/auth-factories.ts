import type { Sequelize } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { SCOPES } from "../../lib/passport.ts";
import type { AuditEntry } from "../../services/auth/audit.logic.ts";
import { type ApiTokenRow, defineApiToken } from "../../services/auth/models/api-token.model.ts";
import { defineMail, type MailRow } from "../../services/auth/models/mail.model.ts";
import { defineMailedToken, type MailedTokenRow } from "../../services/auth/models/mailed-token.model.ts";
import { defineSession, type SessionRow } from "../../services/auth/models/session.model.ts";
import { defineUser, type UserRow } from "../../services/auth/models/user.model.ts";
import type { Passwords } from "../../services/auth/passwords.logic.ts";
import type { Throttle } from "../../services/auth/throttle.logic.ts";

/*
 * Rows of auth as its tests need them, stored without the repositories that are tested, and stand-ins for what is
 * slow (hashes) or only to be heard (audit, throttle). Nothing of services/auth is loaded but the models: Stryker runs
 * whatever loads the code that it changed.
 */

export const NOW = Date.parse("2026-11-22T10:00:00.000Z");
export const AUTH_SECRET = "kYzr0T4n9vQ1uS7xB3mW8dJ5hG2cL6pA";
/** Where the requests of these tests come from. */
export const CLIENT = { address: "203.0.113.7", userAgent: "a browser" };

export async function storeUser(database: Sequelize, fields: Partial<UserRow> = {}): Promise<UserRow> {
  const id = uuidv7();
  const user: UserRow = {
    id,
    email: `${id}@example.test`,
    passwordHash: "hash of right",
    name: "Ada",
    role: "user",
    timeZone: "UTC",
    locale: "en",
    emailVerified: false,
    disabledAt: null,
    createdAt: new Date(NOW),
    ...fields,
  };
  await defineUser(database).create(user);
  return user;
}

export async function storeSession(
  database: Sequelize,
  fields: Partial<SessionRow> = {},
): Promise<SessionRow> {
  const session: SessionRow = {
    id: uuidv7(),
    userId: fields.userId ?? (await storeUser(database)).id,
    refreshCounter: 0,
    refreshedAt: new Date(NOW),
    lastUsedAt: new Date(NOW),
    createdAt: new Date(NOW),
    endedAt: null,
    address: CLIENT.address,
    userAgent: CLIENT.userAgent,
    ...fields,
  };
  await defineSession(database).create(session);
  return session;
}

export async function storeApiToken(
  database: Sequelize,
  fields: Partial<ApiTokenRow> = {},
): Promise<ApiTokenRow> {
  const id = uuidv7();
  const token: ApiTokenRow = {
    id,
    userId: fields.userId ?? (await storeUser(database)).id,
    name: "a script",
    scopes: ["tasks:read"],
    secretHash: Buffer.from(id),
    createdAt: new Date(NOW),
    expiresAt: null,
    lastUsedAt: null,
    ...fields,
  };
  await defineApiToken(database).create(token);
  return token;
}

export async function storeMail(database: Sequelize, fields: Partial<MailRow> = {}): Promise<MailRow> {
  const mail: MailRow = {
    id: uuidv7(),
    purpose: "reset_password",
    email: "nobody@example.test",
    client: CLIENT,
    requestedAt: new Date(NOW),
    tokenId: null,
    attempts: 0,
    nextAttemptAt: new Date(NOW),
    ...fields,
  };
  await defineMail(database).create(mail);
  return mail;
}

export async function storeMailedToken(
  database: Sequelize,
  fields: Partial<MailedTokenRow> = {},
): Promise<MailedTokenRow> {
  const token: MailedTokenRow = {
    id: uuidv7(),
    userId: fields.userId ?? (await storeUser(database)).id,
    purpose: "reset_password",
    email: "ada@example.test",
    createdAt: new Date(NOW),
    expiresAt: new Date(NOW + 60_000),
    usedAt: null,
    ...fields,
  };
  await defineMailedToken(database).create(token);
  return token;
}

export const findUser = async (database: Sequelize, id: string): Promise<UserRow | undefined> =>
  (await defineUser(database).findOne({ where: { id } }))?.get({ plain: true });

export const findSession = async (database: Sequelize, id: string): Promise<SessionRow | undefined> =>
  (await defineSession(database).findOne({ where: { id } }))?.get({ plain: true });

export const findSessionsOf = async (database: Sequelize, userId: string): Promise<SessionRow[]> =>
  (await defineSession(database).findAll({ where: { userId }, order: ["id"] })).map((session) =>
    session.get({ plain: true }),
  );

/** A signed-in person, as the guard hands one over. */
export const identityOf = ({ userId, id }: { userId: string; id: string | null }) => ({
  userId,
  sessionId: id,
  role: "user" as const,
  timeZone: "UTC",
  scopes: SCOPES,
  client: null,
});

export function recordAudit() {
  const audited: AuditEntry[] = [];
  return { audited, audit: async (entry: AuditEntry) => void audited.push(entry) };
}

/** "hash of x" is the hash of x, "old hash of x" one that is outdated; nobody's is that of no password. */
export const quickPasswords = (over: Partial<Passwords> = {}): Passwords => ({
  expectCost: () => {},
  assertRoom: () => {},
  hash: async (password) => `hash of ${password}`,
  choose: async (password) => `hash of ${password}`,
  matches: async (password, stored) =>
    stored === `hash of ${password}` || stored === `old hash of ${password}`,
  isOutdated: (stored) => stored.startsWith("old "),
  ...over,
});

/** Lets everybody try, and notes who did. */
export function recordThrottle() {
  const asked: unknown[] = [];
  const attempt = (who: unknown, compare: () => Promise<boolean>) => {
    asked.push(who);
    return compare();
  };
  const link = async (who: unknown): Promise<void> => void asked.push(who);
  const throttle: Throttle = { signIn: attempt, password: attempt, link, sweep: async () => 0 };
  return { asked, throttle };
}
