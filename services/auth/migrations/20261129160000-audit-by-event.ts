import type { Migration } from "../../../mixins/migrations.ts";

/** Pages of the audit log go by ids, of one person and of one event: of a rare one, all others were read. */
export const up: Migration = async (database) => {
  await database.query(`
    CREATE INDEX audit_events_event_id ON auth.audit_events (event, id DESC);
    CREATE INDEX audit_events_user_id_id ON auth.audit_events (user_id, id DESC);
    DROP INDEX auth.audit_events_user_id;
  `);
};

export const down: Migration = async (database) => {
  await database.query(`
    CREATE INDEX audit_events_user_id ON auth.audit_events (user_id, at DESC);
    DROP INDEX auth.audit_events_user_id_id, auth.audit_events_event_id;
  `);
};
