import { QueryTypes } from "sequelize";
import { findSession, NOW, storeSession } from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createAuditRepository } from "./audit.repository.ts";
import { createHousekeeping } from "./housekeeping.logic.ts";
import { createSessionRepository } from "./sessions.repository.ts";

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
    throttle: { sweep: async () => 0 },
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
  await keepHouseAt(NOW + 30 * DAY + HOUR);
  expect(await findSession(db.database, used.id)).toBeDefined();
  expect(await keepHouseAt(NOW + 30 * DAY + HOUR + 1)).toMatchObject({ sessions: [2, 0] });
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
  expect(await keepHouseAt(NOW + 365 * DAY + 1)).toMatchObject({ audit: [500, 500, 200, 0] });
  expect(await auditEvents.list({ limit: 10 })).toMatchObject([{ at: new Date(NOW + 1) }]);
});

it("finds what is old by an index", async () => {
  const statements = [
    "SELECT id FROM auth.sessions WHERE created_at < now() ORDER BY created_at LIMIT 500",
    "SELECT id FROM auth.audit_events WHERE at < now() ORDER BY at LIMIT 500",
  ];
  for (const statement of statements) {
    const plan = await db.database.query(`EXPLAIN ${statement}`, { type: QueryTypes.SELECT });
    expect(JSON.stringify(plan)).not.toContain("Seq Scan");
  }
});
