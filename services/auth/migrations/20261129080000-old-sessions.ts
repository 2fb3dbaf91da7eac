import type { Migration } from "../../../mixins/migrations.ts";

/**
 * That a session goes is told when it was good until then, and not when housekeeping removes what ended long ago: every
 * gateway would look through its streams for each.
 */
export const up: Migration = async (database) => {
  await database.query(`
    DROP TRIGGER tell_session ON auth.sessions;
    CREATE TRIGGER tell_session AFTER UPDATE OF ended_at ON auth.sessions
      FOR EACH ROW EXECUTE FUNCTION auth.tell_change('session');
    CREATE TRIGGER tell_session_removed AFTER DELETE ON auth.sessions FOR EACH ROW
      -- No session is good for longer (refresh-tokens.logic.ts).
      WHEN (OLD.ended_at IS NULL AND OLD.created_at > now() - interval '30 days')
      EXECUTE FUNCTION auth.tell_change('session');
  `);
};

export const down: Migration = async (database) => {
  await database.query(`
    DROP TRIGGER tell_session_removed ON auth.sessions;
    DROP TRIGGER tell_session ON auth.sessions;
    CREATE TRIGGER tell_session AFTER UPDATE OF ended_at OR DELETE ON auth.sessions
      FOR EACH ROW EXECUTE FUNCTION auth.tell_change('session');
  `);
};
