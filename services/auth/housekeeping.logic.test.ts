import {
  AUTH_SECRET,
  findSession,
  NOW,
  storeSession,
  storeUser,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { nodes, plansOf } from "../../tests/support/plans.ts";
import { createAuditRepository } from "./audit.repository.ts";
import { createHousekeeping } from "./housekeeping.logic.ts";
import { createSessionRepository } from "./sessions.repository.ts";
import { createThrottle } from "./throttle.logic.ts";
import { createThrottleRepository } from "./throttles.repository.ts";

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

async function keepHouseAt(now: number): Promise<Record<string, number[]>> {
  const done: Record<string, number[]> = {};
  const chores = createHousekeeping({
    eraser: { sweep: async () => 0 },
    throttle: createThrottle({
      throttles: createThrottleRepository(db.database),
      audit: async () => {},
      secret: AUTH_SECRET,
      clock: () => now,
    }),
    sessions: createSessionRepository(db.database),
    auditEvents: createAuditRepository(db.database),
    keepAudit: 365 * DAY,
    clock: () => now,
  });
  for (const { name, part } of chores) {
    const parts: number[] = [];
    do parts.push(await part());
    while (parts.at(-1));
    done[name] = parts;
  }
  return done;
}

it("removes sessions that nobody can refresh, ended or not, when no access token of theirs is left", async () => {
  const ofLongAgo = { createdAt: new Date(NOW), refreshedAt: new Date(NOW + 29 * DAY) };
  const [used, ended] = [
    await storeSession(db.database, ofLongAgo),
    await storeSession(db.database, { endedAt: new Date(NOW) }),
  ];
  const later = await storeSession(db.database, { createdAt: new Date(NOW + 1) });
  await keepHouseAt(NOW + 30 * DAY + HOUR - 1);
  expect(await findSession(db.database, used.id)).toBeDefined();
  expect(await keepHouseAt(NOW + 30 * DAY + HOUR)).toMatchObject({ sessions: [2, 0] });
  for (const { id } of [used, ended]) expect(await findSession(db.database, id)).toBeUndefined();
  expect(await findSession(db.database, later.id)).toBeDefined();
});

it("removes events of the audit log after AUDIT_RETENTION, some at a time", async () => {
  const auditEvents = createAuditRepository(db.database);
  const event = { event: "login", result: "success" } as const;
  await db.database.query(
    `INSERT INTO auth.audit_events (id, at, event, result, detail)
     SELECT gen_random_uuid(), $1, 'login', 'success', '{}' FROM generate_series(1, 1200)`,
    { bind: [new Date(NOW)] },
  );
  await auditEvents.insert(event, new Date(NOW + 1));
  expect(await keepHouseAt(NOW + 365 * DAY)).toMatchObject({ audit: [500, 500, 200, 0] });
  expect(await auditEvents.list({ limit: 10 })).toMatchObject([{ at: new Date(NOW + 1) }]);
});

it("finds what is old by an index", async () => {
  await storeMany();
  const plans = await plansOf(db.url, () => keepHouseAt(NOW));
  expect(plans).toHaveLength(4);
  const whole = plans.flatMap(nodes).filter((node) => node["Node Type"] === "Seq Scan");
  expect(whole).toEqual([]);
});

/** Young ones, so many that to read all of them costs something. */
async function storeMany(): Promise<void> {
  const { id } = await storeUser(db.database);
  const filled = [
    `INSERT INTO auth.sessions (id, user_id, refresh_counter, refreshed_at, last_used_at, created_at)
     SELECT gen_random_uuid(), $1, 0, $2, $2, $2 FROM generate_series(1, 5000)`,
    `INSERT INTO auth.audit_events (id, user_id, at, event, result, detail)
     SELECT gen_random_uuid(), $1, $2, 'login', 'success', '{}' FROM generate_series(1, 5000)`,
    "INSERT INTO auth.throttles (key, full_at) SELECT $1::uuid || ' ' || n, $2 FROM generate_series(1, 5000) n",
    `INSERT INTO auth.familiar_networks (user_id, network_key, seen_at)
     SELECT $1, n, $2 FROM generate_series(1, 5000) n`,
  ];
  for (const statement of filled) await db.database.query(statement, { bind: [id, new Date(NOW + DAY)] });
  await db.database.query("ANALYZE");
}
