import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { startRogue, type TestNode } from "./support/broker.ts";
import { buildPerson, buildTask } from "./support/client.ts";
import { query } from "./support/database.ts";
import type { System } from "./support/system.ts";
import { systems } from "./support/systems.ts";

const run = promisify(execFile);
const [mesh] = systems.flatMap(([, system]) => (system.mode === "mesh" ? [system] : []));
if (!mesh) throw new Error("There is no mesh to test on.");

/** Runs `npm run client` on the mesh's database, and gives back what it printed. */
const client = ({ env }: System, ...args: string[]) =>
  run("node_modules/.bin/node", ["scripts/client.ts", ...args], {
    env: { ...env, PATH: process.env.PATH },
  }).then(({ stdout }) => stdout.trim());

describe("a service with a credential of its own", () => {
  let node: TestNode;
  const secrets: Record<string, string> = {};

  beforeAll(async () => {
    secrets.reader = await client(mesh, "add", "reader", "--scopes", "tasks:read", "--for-users");
    secrets.loner = await client(mesh, "add", "loner", "--scopes", "tasks:read,tasks:write");
    node = await startRogue(mesh);
    await node.broker.waitForServices(["auth", "tasks"], 10_000, 50);
  });
  afterAll(async () => {
    await node.stop();
    await client(mesh, "remove", "reader");
    await client(mesh, "remove", "loner");
  });

  const call = (action: string, params: object, passport?: string): Promise<Record<string, unknown>> =>
    node.broker.call(action, params, { meta: { passport } });
  const passportOf = async (name: string, userId?: string): Promise<string> => {
    const params = { client: name, secret: secrets[name], ...(userId ? { userId } : {}) };
    return String((await call("auth.clientPassport", params)).passport);
  };

  test("acts for a person as far as its scopes, and the person's things only", async () => {
    const [ada, bob] = await Promise.all([buildPerson(mesh), buildPerson(mesh)]);
    const task = await buildTask(ada);
    const passport = await passportOf("reader", ada.user.id);
    expect(await call("tasks.list", {}, passport)).toMatchObject({ items: [{ id: task.id }] });
    await expect(call("tasks.create", { title: "x" }, passport)).rejects.toMatchObject({
      type: "insufficient_scope",
    });
    await expect(call("auth.me", {}, passport)).rejects.toMatchObject({ type: "insufficient_scope" });
    expect(await call("tasks.list", {}, await passportOf("reader", bob.user.id))).toMatchObject({
      items: [],
    });
  });

  test("never acts as administrator, whoever it acts for", async () => {
    const admin = await buildPerson(mesh);
    await query(mesh.databaseUrl, "UPDATE auth.users SET role = 'admin' WHERE id = $1", [admin.user.id]);
    const passport = await passportOf("reader", admin.user.id);
    await expect(call("auth.listUsers", {}, passport)).rejects.toMatchObject({ code: 403 });
  });

  test("learns whom it may act for by its own passport, page by page", async () => {
    const person = await buildPerson(mesh);
    const passport = await passportOf("reader");
    const seen: unknown[] = [];
    let cursor: unknown;
    do {
      const page = await call("auth.listPeople", { limit: 100, ...(cursor ? { cursor } : {}) }, passport);
      if (Array.isArray(page.items)) seen.push(...page.items);
      cursor = page.nextCursor;
    } while (cursor);
    expect(seen).toContainEqual({ id: person.user.id, timeZone: "UTC", locale: "en" });
    expect(JSON.stringify(seen)).not.toContain("@");
    await expect(call("auth.listPeople", {}, person.tokens.accessToken)).rejects.toMatchObject({ code: 401 });
  });

  test("that was not let act for people does not", async () => {
    const person = await buildPerson(mesh);
    await expect(passportOf("loner", person.user.id)).rejects.toMatchObject({ type: "forbidden" });
    await expect(call("auth.listPeople", {}, await passportOf("loner"))).rejects.toMatchObject({
      type: "forbidden",
    });
  });

  test("line 31: with a wrong secret or name, or for nobody, gets nothing, and a wrong one is written down", async () => {
    const person = await buildPerson(mesh);
    for (const params of [
      { client: "reader", secret: `${secrets.reader}x` },
      { client: "reader", secret: secrets.loner },
      { client: "nobody", secret: secrets.reader },
    ]) {
      await expect(call("auth.clientPassport", params)).rejects.toMatchObject({ type: "invalid_client" });
    }
    const noted = await query(
      mesh.databaseUrl,
      "SELECT result, detail FROM auth.audit_events WHERE event = 'client_passport' ORDER BY id DESC LIMIT 3",
    );
    expect(noted).toEqual(
      ["nobody", "reader", "reader"].map((name) => ({ result: "failure", detail: { client: name } })),
    );
    await expect(passportOf("reader", "01a20414-20d2-704d-a37f-36b70affce42")).rejects.toMatchObject({
      code: 404,
    });
    await query(mesh.databaseUrl, "UPDATE auth.users SET disabled_at = now() WHERE id = $1", [
      person.user.id,
    ]);
    await expect(passportOf("reader", person.user.id)).rejects.toMatchObject({ code: 404 });
  });

  test("line 20: is stored without its secret, and can't be added twice or under auth's own name", async () => {
    const rows = await query(
      mesh.databaseUrl,
      "SELECT name, encode(secret_hash, 'base64') AS hash FROM auth.clients",
    );
    expect(JSON.stringify(rows)).not.toContain(secrets.reader);
    await expect(client(mesh, "add", "reader", "--scopes", "tasks:read")).rejects.toThrow();
    await expect(client(mesh, "add", "auth", "--scopes", "tasks:read")).rejects.toThrow();
    await expect(client(mesh, "add", "other", "--scopes", "tasks:read,admin")).rejects.toThrow();
    expect(await client(mesh, "list")).toContain("reader  tasks:read  for users");
  });

  test("is asked for in the words of the usage, or that is shown", async () => {
    for (const args of [
      ["add", "x1", "--scope", "tasks:read"],
      ["add", "x1", "--scopes"],
      ["list", "--all"],
      ["add", "x1"],
    ]) {
      await expect(client(mesh, ...args)).rejects.toMatchObject({
        code: 2,
        stderr: expect.stringMatching(/^Usage: npm run client/),
      });
    }
  });

  test("nobody but auth has content erased, whatever the scopes", async () => {
    const person = await buildPerson(mesh);
    await buildTask(person);
    for (const passport of [await passportOf("loner"), await passportOf("reader", person.user.id)]) {
      await expect(call("tasks.eraseAll", {}, passport)).rejects.toMatchObject({ type: "forbidden" });
    }
    expect((await person.http.get("/tasks")).body).toMatchObject({ items: [{}] });
  });
});
