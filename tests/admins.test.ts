import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { createSigningKey } from "../services/auth/keys.logic.ts";
import { buildPerson, httpFor, type Person } from "./support/client.ts";
import { query } from "./support/database.ts";
import { type RunningSystem, ready, start, startMesh } from "./support/system.ts";

const run = promisify(execFile);
const NODE = "node_modules/.bin/node";

/** A mesh of its own: it counts administrators, changes keys, and has two replicas of auth. */
describe("a mesh with two replicas of auth", () => {
  let mesh: RunningSystem;
  let admin: Person;

  const script = (...args: string[]) =>
    run(NODE, args, { env: { ...mesh.env, PATH: process.env.PATH } }).then(({ stdout }) => stdout.trim());

  beforeAll(async () => {
    mesh = await startMesh();
    const second = await start("auth", ["scripts/service.ts", "auth"], mesh.env);
    mesh.processes.push(second);
    await ready(second.child, `${second.opsUrl}/health/ready`);
    admin = await buildPerson(mesh);
  }, 60_000);
  afterAll(() => mesh.stop());

  test("line 22: the first administrator is made by command, and the last one can't step down or go", async () => {
    expect((await admin.http.get("/users")).status).toBe(403);
    expect(await script("scripts/user.ts", "promote", admin.email.toUpperCase())).toContain(
      "is an administrator",
    );
    expect((await admin.http.get("/users")).status).toBe(200);
    const { body } = await admin.http.get(`/audit-events?event=role_change&userId=${admin.user.id}`);
    expect(body).toMatchObject({
      items: [{ result: "success", detail: { by: "npm run user", role: "admin" } }],
    });
    for (const change of [{ role: "user" }, { disabled: true }]) {
      const answer = await admin.http.patch(`/users/${admin.user.id}`, change);
      expect(answer).toMatchObject({ status: 409, body: { code: "last_admin" } });
    }
    expect(await admin.http.delete("/auth/me", { password: admin.password })).toMatchObject({
      status: 409,
      body: { code: "last_admin" },
    });
    await expect(script("scripts/user.ts", "promote", "nobody@example.test")).rejects.toThrow();
  });

  test("line 22: of two administrators who remove each other at once, one stays", async () => {
    const other = await buildPerson(mesh);
    await admin.http.patch(`/users/${other.user.id}`, { role: "admin" });
    const answers = await Promise.all([
      admin.http.patch(`/users/${other.user.id}`, { role: "user" }),
      other.http.patch(`/users/${admin.user.id}`, { role: "user" }),
    ]);
    const statuses = answers.map(({ status }) => status).sort();
    expect([
      [200, 403],
      [200, 409],
    ]).toContainEqual(statuses);
    await script("scripts/user.ts", "promote", admin.email);
    await admin.http.patch(`/users/${other.user.id}`, { role: "user" });
  });

  test("line 15: a session that ends is felt on every replica by the next request", async () => {
    for (let round = 0; round < 10; round++) {
      const person = await buildPerson(mesh);
      // Calls take turns between the replicas: both have the session in memory now.
      for (let call = 0; call < 4; call++) expect((await person.http.get("/auth/me")).status).toBe(200);
      expect((await person.http.post("/auth/logout")).status).toBe(204);
      await felt(async () => (await person.http.get("/auth/me")).status === 401);
    }
  });

  /** Line 15 allows a second; four calls in a row reach both replicas. */
  async function felt(isSo: () => Promise<boolean>): Promise<void> {
    const deadline = Date.now() + 1_000;
    for (let inARow = 0; inARow < 4; ) {
      inARow = (await isSo()) ? inARow + 1 : 0;
      if (inARow === 0 && Date.now() > deadline) throw new Error("It is not felt after a second.");
    }
  }

  test("line 16: after a rotation both keys verify, new tokens are signed by the new one", async () => {
    const keys = async () =>
      (await httpFor(mesh).get<{ keys: { kid: string }[] }>("/.well-known/jwks.json")).body.keys;
    const before = await keys();
    expect(before).toHaveLength(1);
    expect(await script("scripts/keys.ts", "rotate")).toContain("Signing with the key");
    await felt(async () => (await keys()).length === 2);
    expect((await admin.http.get("/auth/me")).status).toBe(200);
    const person = await buildPerson(mesh);
    expect((await person.http.get("/tasks")).status).toBe(200);
    const kid = JSON.parse(
      Buffer.from(person.tokens.accessToken.split(".")[0] ?? "", "base64url").toString(),
    ).kid;
    const after = await keys();
    expect(after.map((key) => key.kid)).toEqual([kid, before[0]?.kid]);
    expect(JSON.stringify(after)).not.toContain('"d"');
  });

  test("a rotation that no replica was told of is taken up when they hear again", async () => {
    const next = createSigningKey(mesh.env.AUTH_SECRET ?? "", Date.now());
    await query(mesh.databaseUrl, "UPDATE auth.signing_keys SET retired_at = now() WHERE retired_at IS NULL");
    await query(
      mesh.databaseUrl,
      "INSERT INTO auth.signing_keys (kid, public_jwk, sealed_private_key, created_at) VALUES ($1, $2, $3, now())",
      [next.kid, next.publicJwk, next.sealedPrivateKey],
    );
    const listeners = "query LIKE 'LISTEN%' OR query LIKE 'SELECT pg_notify%'";
    // On a busy machine, one may be away just now.
    const cut = new Set<unknown>();
    while (cut.size < 2) {
      const found = await query(
        mesh.databaseUrl,
        `SELECT pid, pg_terminate_backend(pid) FROM pg_stat_activity
          WHERE datname = current_database() AND pid <> pg_backend_pid() AND (${listeners})`,
      );
      for (const { pid } of found) cut.add(pid);
    }
    const kidOf = ({ tokens }: Person): unknown =>
      JSON.parse(Buffer.from(tokens.accessToken.split(".")[0] ?? "", "base64url").toString()).kid;
    // Signing in reaches both replicas in turn.
    for (let inARow = 0; inARow < 4; ) {
      inARow = kidOf(await buildPerson(mesh)) === next.kid ? inARow + 1 : 0;
    }
  });

  test("line 18: twenty refreshes of one token at once, over both replicas, make one rotation", async () => {
    const { tokens } = await buildPerson(mesh);
    const answers = await Promise.all(
      Array.from({ length: 20 }, () =>
        httpFor(mesh).post<{ refreshToken: string }>("/auth/refresh", { refreshToken: tokens.refreshToken }),
      ),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(new Set(answers.map(({ body }) => body.refreshToken)).size).toBe(1);
  });
});
