import type { Migration } from "../../../mixins/migrations.ts";

export const up: Migration = async (database) => {
  await database.query(`
    ALTER TABLE auth.sessions ADD COLUMN last_used_at timestamptz(3);
    UPDATE auth.sessions SET last_used_at = refreshed_at;
    ALTER TABLE auth.sessions ALTER COLUMN last_used_at SET NOT NULL;

    -- Old keys verify until the last token they signed has expired.
    ALTER TABLE auth.signing_keys ADD COLUMN retired_at timestamptz(3);

    CREATE TABLE auth.api_tokens (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
      name text NOT NULL,
      scopes text[] NOT NULL,
      -- SHA-256 of the secret: it has 256 random bits, so nothing slower is needed.
      secret_hash bytea NOT NULL UNIQUE,
      created_at timestamptz(3) NOT NULL,
      expires_at timestamptz(3),
      last_used_at timestamptz(3)
    );
    CREATE INDEX api_tokens_user_id ON auth.api_tokens (user_id);

    -- Password resets and e-mail verifications. The mailed token is derived from the id, never stored.
    CREATE TABLE auth.mailed_tokens (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
      purpose text NOT NULL CHECK (purpose IN ('reset_password', 'verify_email')),
      email text NOT NULL,
      created_at timestamptz(3) NOT NULL,
      expires_at timestamptz(3) NOT NULL,
      used_at timestamptz(3)
    );
    CREATE INDEX mailed_tokens_user_id ON auth.mailed_tokens (user_id);

    -- Mails to be sent, to addresses that may be nobody's: whose they are is looked up when there is no caller who
    -- could tell by the time. What they say is rendered when they are sent, so that no link lies here.
    CREATE TABLE auth.mails (
      id uuid PRIMARY KEY,
      purpose text NOT NULL CHECK (purpose IN ('reset_password', 'verify_email')),
      email text NOT NULL,
      client jsonb NOT NULL,
      requested_at timestamptz(3) NOT NULL,
      -- No reference: the row is locked while a mail is on its way, and a deletion must not wait for that.
      token_id uuid,
      attempts integer NOT NULL,
      next_attempt_at timestamptz(3) NOT NULL
    );
    CREATE INDEX mails_next_attempt_at ON auth.mails (next_attempt_at);

    -- Services that call others without a person at hand.
    CREATE TABLE auth.clients (
      id uuid PRIMARY KEY,
      name text NOT NULL UNIQUE,
      secret_hash bytea NOT NULL,
      scopes text[] NOT NULL,
      -- Whether it may act for people, within its scopes.
      acts_for_users boolean NOT NULL,
      created_at timestamptz(3) NOT NULL
    );

    CREATE TABLE auth.audit_events (
      id uuid PRIMARY KEY,
      at timestamptz(3) NOT NULL,
      event text NOT NULL,
      result text NOT NULL,
      user_id uuid,
      session_id uuid,
      address text,
      user_agent text,
      detail jsonb NOT NULL
    );
    CREATE INDEX audit_events_at ON auth.audit_events (at DESC, id DESC);
    CREATE INDEX audit_events_user_id ON auth.audit_events (user_id, at DESC);

    -- Budgets of attempts. Keys are HMACs: neither addresses nor e-mails can be read here.
    CREATE TABLE auth.throttles (
      key text PRIMARY KEY,
      -- When nothing is spent any more; the row says nothing after that.
      full_at timestamptz(3) NOT NULL
    );
    CREATE INDEX throttles_full_at ON auth.throttles (full_at);

    -- Networks that a person has signed in from: strangers' attempts do not count there.
    CREATE TABLE auth.familiar_networks (
      user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
      network_key text NOT NULL,
      seen_at timestamptz(3) NOT NULL,
      PRIMARY KEY (user_id, network_key)
    );
    CREATE INDEX familiar_networks_seen_at ON auth.familiar_networks (seen_at);

    -- Deleted people whose content other services have not yet been told to erase.
    CREATE TABLE auth.erasures (
      user_id uuid PRIMARY KEY,
      requested_at timestamptz(3) NOT NULL,
      -- The last time follows when no passport of that person is good any more.
      erased_once boolean NOT NULL
    );

    -- Whatever changes who may do what, by whatever way, is told to every auth replica: their caches forget it.
    CREATE FUNCTION auth.tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      PERFORM pg_notify('taskmesh_auth', TG_ARGV[0] || ' ' || OLD.id);
      RETURN NULL;
    END $$;
    CREATE TRIGGER tell_session AFTER UPDATE OF ended_at OR DELETE ON auth.sessions
      FOR EACH ROW EXECUTE FUNCTION auth.tell_change('session');
    CREATE TRIGGER tell_user AFTER UPDATE OF email, role, time_zone, disabled_at OR DELETE ON auth.users
      FOR EACH ROW EXECUTE FUNCTION auth.tell_change('user');
    CREATE TRIGGER tell_api_token AFTER UPDATE OF scopes, expires_at OR DELETE ON auth.api_tokens
      FOR EACH ROW EXECUTE FUNCTION auth.tell_change('api_token');
  `);
};

export const down: Migration = async (database) => {
  await database.query(`
    DROP TRIGGER tell_user ON auth.users;
    DROP TRIGGER tell_session ON auth.sessions;
    DROP TABLE auth.familiar_networks, auth.throttles;
    DROP TABLE auth.erasures, auth.audit_events, auth.clients, auth.mails, auth.mailed_tokens, auth.api_tokens;
    DROP FUNCTION auth.tell_change();
    ALTER TABLE auth.signing_keys DROP COLUMN retired_at;
    ALTER TABLE auth.sessions DROP COLUMN last_used_at;
  `);
};
