import { createHash, randomBytes, timingSafeEqual } from "node:crypto";
import { v7 as uuidv7 } from "uuid";
import { problem } from "../../lib/errors.ts";
import type { Scope } from "../../lib/passport.ts";
import type { AccessTokens } from "./access-tokens.logic.ts";
import type { Audit } from "./audit.logic.ts";
import type { ClientRepository, ClientRow, PersonRow } from "./clients.repository.ts";
import type { UserRepository } from "./users.repository.ts";

const PREFIX = "tmc_";
const SECRET_BYTES = 32;

const hashOf = (secret: string): Buffer => createHash("sha256").update(secret).digest();

/** A new client and its secret, which is shown once. */
export function createClient(
  wanted: Pick<ClientRow, "name" | "scopes" | "actsForUsers">,
  now: number,
): { client: ClientRow; secret: string } {
  const secret = PREFIX + randomBytes(SECRET_BYTES).toString("base64url");
  return {
    client: { ...wanted, id: uuidv7(), secretHash: hashOf(secret), createdAt: new Date(now) },
    secret,
  };
}

const invalidClient = () => problem("invalid_client", "There is no such client, or its secret is another.");

interface ClientOptions {
  clients: ClientRepository;
  users: UserRepository;
  accessTokens: AccessTokens;
  audit: Audit;
}

interface Credential {
  client: string;
  secret: string;
}

/** Passports for services that have no signed-in person at hand, by a credential of their own. */
export function createClientLogic({ clients, users, accessTokens, audit }: ClientOptions) {
  async function authenticate({ client: name, secret }: Credential): Promise<ClientRow> {
    const client = await clients.find(name);
    if (!client || !timingSafeEqual(hashOf(secret), client.secretHash)) {
      await audit({ event: "client_passport", result: "failure", detail: { client: name } });
      throw invalidClient();
    }
    return client;
  }

  return {
    /**
     * Its own passport, or one to act for a person: with the client's scopes only, and never as administrator.
     *
     * @throws invalid_client, forbidden when it may not act for people, not_found when there is no such person
     */
    async passport({
      userId,
      ...credential
    }: Credential & { userId?: string }): Promise<{ passport: string }> {
      const client = await authenticate(credential);
      if (userId === undefined) {
        const own = { id: client.id, role: "service" as const, timeZone: "UTC" };
        return { passport: grant(own, client.id, client.scopes, client.name) };
      }
      if (!client.actsForUsers) throw problem("forbidden", "This client may not act for people.");
      const user = await users.find(userId);
      if (!user || user.disabledAt) throw problem("not_found", "There is no such person.");
      const person = { id: user.id, role: "user" as const, timeZone: user.timeZone };
      return { passport: grant(person, `${client.id} ${user.id}`, client.scopes, client.name) };
    },

    /** The people a service may act for: who called is a service, by its own passport. */
    async people(caller: { client: string | null }, { cursor, limit }: { cursor?: string; limit: number }) {
      const client = caller.client === null ? null : await clients.find(caller.client);
      if (!client?.actsForUsers) {
        throw problem("forbidden", "This client may not act for people.");
      }
      const rows: PersonRow[] = await clients.people(cursor ?? null, limit + 1);
      const items = rows.slice(0, limit);
      return { items, nextCursor: rows.length > limit ? (items.at(-1)?.id ?? null) : null };
    },
  };

  function grant(
    holder: { id: string; role: "user" | "service"; timeZone: string },
    id: string,
    scopes: Scope[],
    name: string,
  ): string {
    return accessTokens.passport(holder, { id, sessionId: null, scopes, client: name });
  }
}
