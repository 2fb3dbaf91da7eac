/**
 * npm run bench:revocation
 *
 * How long until a session that ended on one auth replica is known to another, which listens on the same database.
 */
import { randomUUID } from "node:crypto";
import { listenForChanges } from "../services/auth/changes.repository.ts";
import { createMigratedDatabase } from "../tests/support/migrated-database.ts";
import { inShort } from "./support/statistics.ts";

const ROUNDS = 200;

const { url, database, drop } = await createMigratedDatabase();
const userId = randomUUID();
await database.query(
  `INSERT INTO auth.users (id, email, password_hash, name, role, time_zone, locale, email_verified, created_at)
   VALUES ($1, $2, '', '', 'user', 'UTC', 'en', false, now())`,
  { bind: [userId, `${userId}@bench.invalid`] },
);

let heard = (_id: string): void => {};
const changes = listenForChanges({
  url,
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
await changes.close();
await drop();

console.log(`from the commit to the other replica: ${inShort(delays)}`);
