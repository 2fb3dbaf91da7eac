import type { Migration } from "../../../mixins/migrations.ts";

export const up: Migration = async (database) => {
  await database.query(`
    CREATE TABLE auth.users (
      id uuid PRIMARY KEY,
      email text NOT NULL,
      password_hash text NOT NULL,
      name text NOT NULL,
      role text NOT NULL CHECK (role IN ('user', 'admin')),
      time_zone text NOT NULL,
      locale text NOT NULL,
      email_verified boolean NOT NULL,
      disabled_at timestamptz(3),
      created_at timestamptz(3) NOT NULL
    );
    -- Addresses are stored normalised (NFKC, lower case): this index alone decides who was first.
    CREATE UNIQUE INDEX users_email_key ON auth.users (email);

    CREATE TABLE auth.sessions (
      id uuid PRIMARY KEY,
      user_id uuid NOT NULL REFERENCES auth.users ON DELETE CASCADE,
      -- How often the refresh token was rotated. The token itself is derived, never stored.
      refresh_counter integer NOT NULL,
      refreshed_at timestamptz(3) NOT NULL,
      created_at timestamptz(3) NOT NULL,
      ended_at timestamptz(3),
      address text,
      user_agent text
    );
    CREATE INDEX sessions_user_id ON auth.sessions (user_id);

    CREATE TABLE auth.signing_keys (
      kid text PRIMARY KEY,
      public_jwk jsonb NOT NULL,
      -- AES-256-GCM under a key derived from AUTH_SECRET.
      sealed_private_key bytea NOT NULL,
      created_at timestamptz(3) NOT NULL
    );
  `);
};

export const down: Migration = async (database) => {
  await database.query("DROP TABLE auth.signing_keys, auth.sessions, auth.users");
};
