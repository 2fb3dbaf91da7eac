import { QueryTypes, type Sequelize } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { removeOld, runOn } from "../../mixins/statements.ts";
import type { AuditEntry } from "./audit.logic.ts";

export interface AuditRow {
  id: string;
  at: Date;
  event: string;
  result: string;
  userId: string | null;
  sessionId: string | null;
  address: string | null;
  userAgent: string | null;
  detail: Record<string, string>;
}

export interface AuditFilter {
  userId?: string;
  event?: string;
  /** Id of the last event of the page before. */
  before?: string;
  limit: number;
}

export type AuditRepository = ReturnType<typeof createAuditRepository>;

export function createAuditRepository(database: Sequelize) {
  const run = runOn(database);
  let written = 0;

  return {
    async insert({ event, result, userId, sessionId, client, detail }: AuditEntry, at: Date): Promise<void> {
      await database.query(
        `INSERT INTO auth.audit_events (id, at, event, result, user_id, session_id, address, user_agent, detail)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
        {
          bind: [
            // Pages go by ids. Not by this machine's clock; those of one millisecond in their order.
            uuidv7({ msecs: at.getTime(), seq: written++ }),
            at,
            event,
            result,
            userId ?? null,
            sessionId ?? null,
            client?.address ?? null,
            client?.userAgent ?? null,
            JSON.stringify(detail ?? {}),
          ],
        },
      );
    },

    removeOld: (upTo: Date, limit: number): Promise<number> =>
      removeOld(run, { table: "auth.audit_events", key: "id", at: "at" }, upTo, limit),

    /** Newest first: ids are of version 7 and so in the order of time. */
    list({ userId, event, before, limit }: AuditFilter): Promise<AuditRow[]> {
      return database.query<AuditRow>(
        `SELECT id, at, event, result, user_id AS "userId", session_id AS "sessionId", address,
                user_agent AS "userAgent", detail
           FROM auth.audit_events
          WHERE ($1::uuid IS NULL OR user_id = $1) AND ($2::text IS NULL OR event = $2)
            AND ($3::uuid IS NULL OR id < $3)
          ORDER BY id DESC LIMIT $4`,
        { bind: [userId ?? null, event ?? null, before ?? null, limit], type: QueryTypes.SELECT },
      );
    },
  };
}
