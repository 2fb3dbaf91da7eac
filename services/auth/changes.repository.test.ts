import { Client } from "pg";
import { v7 as uuidv7 } from "uuid";
import { storeApiToken, storeSession } from "../../tests/support/auth-factories.ts";
import { query } from "../../tests/support/database.ts";
import { openLine } from "../../tests/support/line.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { CHANNEL, type Change, listenForChanges } from "./changes.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

const running: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const listener of running.splice(0)) await listener.close();
});

/** Listens, and lets the test wait for what is heard. */
function listen(url = db.url) {
  const changes: Change[] = [];
  const states: boolean[] = [];
  const errors: string[] = [];
  let waiting: { holds: () => boolean; resolve: () => void } | undefined;
  const heard = () => {
    if (waiting?.holds()) waiting.resolve();
  };
  const listener = listenForChanges({
    url,
    onChange(change) {
      changes.push(change);
      heard();
    },
    onState(listening) {
      states.push(listening);
      heard();
    },
    onError(error) {
      errors.push(error.message);
      heard();
    },
  });
  running.push(listener);
  const until = (holds: () => boolean) =>
    new Promise<void>((resolve) => {
      if (holds()) resolve();
      else waiting = { holds, resolve };
    });
  return { listener, changes, states, errors, until };
}

const backends = `FROM pg_stat_activity WHERE datname = current_database() AND query ~ '^(LISTEN|SELECT pg_notify|SELECT 1)'
  AND pid <> pg_backend_pid()`;
const cut = () => query(db.url, `SELECT pg_terminate_backend(pid) ${backends}`);
const notify = (payload: string) => query(db.url, "SELECT pg_notify($1, $2)", [CHANNEL, payload]);

describe("changes in the database", () => {
  it("are heard, whoever makes them: sessions, users, API tokens, keys", async () => {
    const session = await storeSession(db.database);
    const token = await storeApiToken(db.database, { userId: session.userId });
    const { listener, changes, states, errors } = listen();
    await listener.start();
    expect(states).toEqual([true]);
    await query(db.url, "UPDATE auth.sessions SET ended_at = now() WHERE id = $1", [session.id]);
    await query(db.url, "UPDATE auth.users SET time_zone = 'Asia/Tokyo' WHERE id = $1", [session.userId]);
    await query(db.url, "UPDATE auth.api_tokens SET scopes = '{}' WHERE id = $1", [token.id]);
    await notify("keys rotated");
    await listener.caughtUp();
    expect(changes).toEqual([
      { kind: "session", id: session.id },
      { kind: "user", id: session.userId },
      { kind: "api_token", id: token.id },
      { kind: "keys", id: "rotated" },
    ]);
    expect(errors).toEqual([]);
  });

  it("are a session that is removed while it is good, and none that has ended or is older than thirty days", async () => {
    const [good, ended, old] = [
      await storeSession(db.database),
      await storeSession(db.database),
      await storeSession(db.database),
    ];
    const ids = [good, ended, old].map(({ id }) => id);
    await query(db.url, "UPDATE auth.sessions SET created_at = now() WHERE id = ANY($1)", [ids]);
    await query(db.url, "UPDATE auth.sessions SET ended_at = now() WHERE id = $1", [ended.id]);
    await query(db.url, "UPDATE auth.sessions SET created_at = now() - interval '30 days' WHERE id = $1", [
      old.id,
    ]);
    const { listener, changes } = listen();
    await listener.start();
    await query(db.url, "DELETE FROM auth.sessions WHERE id = ANY($1)", [ids]);
    await listener.caughtUp();
    expect(changes).toEqual([{ kind: "session", id: good.id }]);
  });

  it("of no known kind are nobody's concern", async () => {
    const { listener, changes } = listen();
    await listener.start();
    for (const payload of ["", "weather fine", `probe ${uuidv7()}`, "user"]) await notify(payload);
    await listener.caughtUp();
    expect(changes).toEqual([{ kind: "user", id: "" }]);
  });

  it("are heard again after a connection was cut, which is told", async () => {
    const { listener, changes, states, errors, until } = listen();
    await listener.start();
    await cut();
    await until(() => states.length === 3);
    expect(states).toEqual([true, false, true]);
    expect(errors.length).toBeGreaterThan(0);
    await notify("user ada");
    await listener.caughtUp();
    expect(changes).toEqual([{ kind: "user", id: "ada" }]);
  });

  it("are all told to who has caught up", async () => {
    const line = await openLine(db.url);
    try {
      const { listener, changes } = listen(line.url);
      await listener.start();
      line.silence();
      await notify("user ada");
      const told = listener.caughtUp().then(() => [...changes]);
      expect(changes).toEqual([]);
      line.speak();
      expect(await told).toEqual([{ kind: "user", id: "ada" }]);
    } finally {
      line.close();
    }
  });

  it("are waited for by nobody while nothing is heard", async () => {
    const { listener } = listen();
    await expect(listener.caughtUp()).resolves.toBeUndefined();
  });
});

describe("a listener", () => {
  it("that can't connect tells why, and goes on trying", async () => {
    const elsewhere = new URL(db.url);
    elsewhere.pathname = `${elsewhere.pathname}_nowhere`;
    const { listener, states, errors, until } = listen(elsewhere.href);
    await listener.start();
    await until(() => errors.length >= 2);
    expect(new Set(states)).toEqual(new Set([false]));
    expect(errors[0]).toContain("does not exist");
  });

  it("hears its own voice every second, and stays", async () => {
    const witness = new Client({ connectionString: db.url });
    await witness.connect();
    try {
      await witness.query(`LISTEN ${CHANNEL}`);
      const probes: (string | undefined)[] = [];
      const twice = new Promise<void>((resolve) => {
        witness.on("notification", ({ payload }) => probes.push(payload) === 2 && resolve());
      });
      const { listener, states, changes, errors } = listen();
      await listener.start();
      await twice;
      await listener.caughtUp();
      expect(probes[0]).toMatch(/^probe /);
      expect(probes[1]).toBe(probes[0]);
      expect({ states, changes, errors }).toEqual({ states: [true], changes: [], errors: [] });
    } finally {
      await witness.end();
    }
  });

  it("notices that its connection is dead though nobody said so", async () => {
    const line = await openLine(db.url);
    try {
      const { listener, states, errors, until } = listen(line.url);
      await listener.start();
      const left = line.left();
      line.silence();
      await until(() => states.length === 2);
      await left;
      expect(states).toEqual([true, false]);
      expect(errors).toEqual(["The database does not deliver notifications."]);
    } finally {
      line.close();
    }
  });

  it("whose connection goes silent before it listens gives it up, and listens on another", async () => {
    const line = await openLine(db.url);
    try {
      const { listener, states, errors, until } = listen(line.url);
      line.silenceAt("LISTEN");
      void listener.start();
      await until(() => states.includes(true));
      expect(states).toEqual([false, true]);
      expect(errors[0]).toBe("Query read timeout");
    } finally {
      line.close();
    }
  });

  it("that was closed hears nothing, says so once, and does not come back", async () => {
    const { listener, states, errors, changes } = listen();
    await listener.start();
    await listener.close();
    await notify("user ada");
    expect({ states, errors, changes }).toEqual({ states: [true, false], errors: [], changes: [] });
    expect(await query(db.url, `SELECT pid ${backends}`)).toEqual([]);
  });

  it("that is closed while it connects does not listen", async () => {
    const { listener, states } = listen();
    const starting = listener.start();
    await listener.close();
    await starting;
    expect(states).not.toContain(true);
  });
});
