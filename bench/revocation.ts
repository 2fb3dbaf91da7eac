/**
 * How long until a session that ended on one auth replica is refused by another: two processes' worth of listeners on
 * one database. DATABASE_URL=postgres://… npm run bench:revocation
 */
import { randomUUID } from "node:crypto";
import { loadEnv } from "../config/env.ts";
import { openDatabase } from "../mixins/database.ts";
import { listenForChanges } from "../services/auth/changes.repository.ts";

const ROUNDS = 200;

const { AUTH_DATABASE_URL } = loadEnv("AUTH_DATABASE_URL");
const database = openDatabase(AUTH_DATABASE_URL);
const userId = randomUUID();
await database.query(
  `INSERT INTO auth.users (id, email, password_hash, name, role, time_zone, locale, email_verified, created_at)
   VALUES ($1, $2, '', '', 'user', 'UTC', 'en', false, now())`,
  { bind: [userId, `${userId}@bench.invalid`] },
);

let heard = (_id: string): void => {};
const changes = listenForChanges({
  url: AUTH_DATABASE_URL,
  onChange: ({ id }) => heard(id),
  onState: () => {},
  onError: (error) => console.error(error.message),
});
await changes.start();

const delays: number[] = [];
for (let round = 0; round < ROUNDS; round++) {
  const id = randomUUID();
  await database.query(
    `INSERT INTO auth.sessions (id, user_id, refresh_counter, refreshed_at, last_used_at, created_at)
     VALUES ($1, $2, 0, now(), now(), now())`,
    { bind: [id, userId] },
  );
  const told = new Promise<number>((resolve) => {
    heard = (changed) => changed === id && resolve(performance.now());
  });
  await database.query("UPDATE auth.sessions SET ended_at = now() WHERE id = $1", { bind: [id] });
  const committed = performance.now();
  delays.push((await told) - committed);
}
await database.query("DELETE FROM auth.users WHERE id = $1", { bind: [userId] });
await changes.close();
await database.close();

delays.sort((a, b) => a - b);
const at = (share: number): string => (delays[Math.floor(delays.length * share)] ?? 0).toFixed(2);
console.log(
  `from the commit to the other replica: p50 ${at(0.5)} ms, p99 ${at(0.99)} ms (${ROUNDS} sessions)`,
);
