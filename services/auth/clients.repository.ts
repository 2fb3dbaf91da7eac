import { QueryTypes, type Sequelize, UniqueConstraintError } from "sequelize";
import type { Scope } from "../../lib/passport.ts";

/** A service with a credential of its own. */
export interface ClientRow {
  id: string;
  name: string;
  /** SHA-256 of the secret. */
  secretHash: Buffer;
  scopes: Scope[];
  /** Whether it may act for people, within its scopes. */
  actsForUsers: boolean;
  createdAt: Date;
}

/** What a service that acts for people is told of them. */
export interface PersonRow {
  id: string;
  timeZone: string;
  locale: string;
}

export type ClientRepository = ReturnType<typeof createClientRepository>;

const SELECT = `
  SELECT id, name, secret_hash AS "secretHash", scopes, acts_for_users AS "actsForUsers", created_at AS "createdAt"
    FROM auth.clients`;

export function createClientRepository(database: Sequelize) {
  return {
    /** False when there is one of this name. */
    async insert({ id, name, secretHash, scopes, actsForUsers, createdAt }: ClientRow): Promise<boolean> {
      try {
        await database.query(
          `INSERT INTO auth.clients (id, name, secret_hash, scopes, acts_for_users, created_at)
           VALUES ($1, $2, $3, $4, $5, $6)`,
          { bind: [id, name, secretHash, scopes, actsForUsers, createdAt] },
        );
        return true;
      } catch (error) {
        if (error instanceof UniqueConstraintError) return false;
        throw error;
      }
    },

    async list(): Promise<ClientRow[]> {
      return database.query<ClientRow>(`${SELECT} ORDER BY name`, { type: QueryTypes.SELECT });
    },

    async find(name: string): Promise<ClientRow | null> {
      const [client] = await database.query<ClientRow>(`${SELECT} WHERE name = $1`, {
        bind: [name],
        type: QueryTypes.SELECT,
      });
      return client ?? null;
    },

    async remove(name: string): Promise<boolean> {
      const removed = await database.query("DELETE FROM auth.clients WHERE name = $1 RETURNING id", {
        bind: [name],
        type: QueryTypes.SELECT,
      });
      return removed.length === 1;
    },

    /** Those who are not disabled, in the order they registered. */
    async people(after: string | null, limit: number): Promise<PersonRow[]> {
      return database.query<PersonRow>(
        `SELECT id, time_zone AS "timeZone", locale FROM auth.users
          WHERE disabled_at IS NULL AND ($1::uuid IS NULL OR id > $1) ORDER BY id LIMIT $2`,
        { bind: [after, limit], type: QueryTypes.SELECT },
      );
    },
  };
}
