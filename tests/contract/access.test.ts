import { createHmac, createPublicKey } from "node:crypto";
import jwt from "jsonwebtoken";
import { buildPerson, buildTask, httpFor } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

describe.each(systems)("access, %s", (_mode, system) => {
  test.each(["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Bearer a b", "Token abc", "bearer"])(
    "takes %p for no credentials",
    async (authorization) => {
      const { status, body } = await httpFor(system).get("/tasks", {
        headers: { Authorization: authorization },
      });
      expect({ status, body }).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
    },
  );

  test("takes the token from the header only", async () => {
    const { tokens } = await buildPerson(system);
    for (const name of ["access_token", "token", "authorization"]) {
      const { status } = await httpFor(system).get(`/tasks?${name}=${tokens.accessToken}`);
      expect(status).toBe(401);
    }
  });

  test("refuses forged and foreign tokens", async () => {
    const { tokens } = await buildPerson(system);
    const [header = "", payload = "", signature = ""] = tokens.accessToken.split(".");
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const kid = jwt.decode(tokens.accessToken, { complete: true })?.header.kid ?? "";
    const jwks = await httpFor(system).get<{ keys: object[] }>("/.well-known/jwks.json");
    const pem = createPublicKey({ key: { ...jwks.body.keys[0] }, format: "jwk" }).export({
      type: "spki",
      format: "pem",
    });
    const hs256 = `${encode({ alg: "HS256", typ: "at+jwt", kid })}.${payload}`;
    const forged = [
      ...["none", "None", "NONE", "nOnE"].map((alg) => `${encode({ alg, typ: "at+jwt", kid })}.${payload}.`),
      `${hs256}.${createHmac("sha256", pem).update(hs256).digest("base64url")}`,
      `${encode({ alg: "ES256", typ: "at+jwt", kid: "../../etc/passwd" })}.${payload}.${signature}`,
      `${encode({ alg: "ES256", typ: "at+jwt", kid: "' OR 1=1 --" })}.${payload}.${signature}`,
      `${encode({ alg: "ES256", typ: "at+jwt", kid, crit: ["exp"] })}.${payload}.${signature}`,
      `${encode({ alg: "ES256", typ: "at+jwt", kid, jwk: jwks.body.keys[0] })}.${payload}.${signature}`,
      `${header}.${payload}.`,
      `${header}.${payload}.${signature.slice(0, -4)}AAAA`,
      tokens.refreshToken,
      "a".repeat(10_000),
    ];
    for (const token of forged) {
      const { status, body } = await httpFor(system, token).get("/tasks");
      expect({ token, status, body }).toMatchObject({ token, status: 401, body: { code: "invalid_token" } });
    }
  });

  test("a list shows its owner's tasks to nobody else, asked one after the other", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const task = await buildTask(ada);
    expect((await ada.http.get("/tasks")).body).toMatchObject({ items: [{ id: task.id }] });
    expect((await bob.http.get("/tasks")).body).toEqual({ items: [], nextCursor: null });
  });

  test("another user's cursor is none", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    await Promise.all([buildTask(ada), buildTask(ada)]);
    const { body } = await ada.http.get<{ nextCursor: string }>("/tasks?limit=1");
    const answer = await bob.http.get(`/tasks?limit=1&cursor=${body.nextCursor}`);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_cursor" } });
  });

  test("userId from the caller is refused wherever it comes, and has no effect", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    expect((await ada.http.post("/tasks", { title: "x", userId: bob.user.id })).status).toBe(422);
    expect((await ada.http.post(`/tasks?userId=${bob.user.id}`, { title: "x" })).status).toBe(422);
    expect((await ada.http.get(`/tasks?userId=${bob.user.id}`)).status).toBe(422);
    const task = await buildTask(ada);
    expect((await ada.http.patch(`/tasks/${task.id}`, { userId: bob.user.id })).status).toBe(422);
    const rows = await query(system.databaseUrl, "SELECT 1 FROM tasks.tasks WHERE user_id = $1", [
      bob.user.id,
    ]);
    expect(rows).toEqual([]);
  });
});
