import { once } from "node:events";
import { createServer } from "node:net";
import jwt from "jsonwebtoken";
import { buildPerson, buildTask, httpFor, type Person } from "../support/client.ts";
import { query } from "../support/database.ts";
import { flipBit, forge, forgeries, type Genuine } from "../support/forged-tokens.ts";
import { signingKeyOf } from "../support/signing-key.ts";
import { systems } from "../support/systems.ts";

describe.each(systems)("access, %s", (_mode, system) => {
  test.each(["Basic dXNlcjpwYXNz", "Bearer", "Bearer ", "Bearer a b", "Token abc", "bearer", ""])(
    "line 12: takes %p for no credentials",
    async (authorization) => {
      const { status, headers, body } = await httpFor(system).get("/tasks", {
        headers: { Authorization: authorization },
      });
      expect({ status, body }).toMatchObject({ status: 401, body: { code: "unauthenticated" } });
      expect(headers.get("www-authenticate")).toBe('Bearer realm="taskmesh"');
    },
  );

  test("line 12: takes the token from the header only, not from the query", async () => {
    const { tokens } = await buildPerson(system);
    for (const name of ["access_token", "token", "authorization"]) {
      const { status } = await httpFor(system).get(`/tasks?${name}=${tokens.accessToken}`);
      expect(status).toBe(401);
    }
  });

  /** A new person's access token in its parts, with the system's own key. */
  async function genuineToken(): Promise<Genuine & { tokens: Person["tokens"] }> {
    const { tokens } = await buildPerson(system);
    const { kid, ...keys } = await signingKeyOf(system);
    const claims = jwt.decode(tokens.accessToken, { json: true }) ?? {};
    return { tokens, header: { alg: "ES256", typ: "at+jwt", kid }, claims, ...keys };
  }

  const ask = (token: string) => httpFor(system, token).get("/tasks");

  test("line 13, line 14: refuses forged, foreign and expired tokens, and asks nobody for a key", async () => {
    const { tokens, ...genuine } = await genuineToken();
    const { header, claims, privateKey } = genuine;
    const signed = (changedHeader: object, changedClaims: object): string =>
      forge({ ...header, ...changedHeader }, { ...claims, ...changedClaims }, privateKey);
    expect((await ask(signed({}, {}))).status).toBe(200);

    let calls = 0;
    const keyServer = createServer(() => {
      calls += 1;
    }).listen(0, "127.0.0.1");
    await once(keyServer, "listening");
    const address = keyServer.address();
    if (typeof address !== "object" || address === null) throw new Error("no address");
    const forged: [string, string][] = [
      ...forgeries(genuine, `http://127.0.0.1:${address.port}`),
      ["another issuer", signed({}, { iss: "elsewhere" })],
      ["no session", signed({}, { sid: undefined })],
      ["a passport", signed({ typ: "passport+jwt" }, { aud: `${system.namespace}/bus` })],
      ["the audience of passports", signed({}, { aud: `${system.namespace}/bus` })],
      ["a refresh token", tokens.refreshToken],
      ["10,000 characters", "a".repeat(10_000)],
    ];
    // White space around a header's value is no part of it.
    for (const [attack, token] of forged.filter((each) => each[1] === each[1].trim())) {
      const { status, body } = await ask(token);
      expect([attack, status]).toEqual([attack, 401]);
      // What can't be a token at all is no credentials.
      const code = /^[\w.~+/-]+=*$/.test(token) ? "invalid_token" : "unauthenticated";
      expect([attack, body]).toEqual([attack, expect.objectContaining({ code })]);
    }
    keyServer.close();
    expect(calls).toBe(0);
  });

  test("line 14: refuses a token with one bit turned over, wherever that is", async () => {
    const { tokens } = await genuineToken();
    const accepted: number[] = [];
    // Every bit is turned over in access-tokens.logic.test.ts; here those that HTTP can carry, of some characters.
    for (let bit = 0; bit < tokens.accessToken.length * 8; bit += 41) {
      const altered = flipBit(tokens.accessToken, bit);
      if (/^[\w.-]+$/.test(altered) && (await ask(altered)).status !== 401) accepted.push(bit);
    }
    expect(accepted).toEqual([]);
  });

  test("line 26: a list shows its owner's tasks to nobody else, asked one after the other", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const task = await buildTask(ada);
    expect((await ada.http.get("/tasks")).body).toMatchObject({ items: [{ id: task.id }] });
    expect((await bob.http.get("/tasks")).body).toEqual({ items: [], nextCursor: null });
  });

  test("line 24: another user's cursor is none", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    await Promise.all([buildTask(ada), buildTask(ada)]);
    const { body } = await ada.http.get<{ nextCursor: string }>("/tasks?limit=1");
    const answer = await bob.http.get(`/tasks?limit=1&cursor=${body.nextCursor}`);
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_cursor" } });
  });

  test("line 25: userId from the caller is refused wherever it comes, and has no effect", async () => {
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

  const HOSTILE = {
    SQL: "'; DROP TABLE tasks.tasks; --",
    NUL: "a\0b",
    wildcards: "%_*",
    brackets: "[".repeat(10_000),
    "an operator": '{"$ne":null}',
  };
  test.each(
    ["sort", "fields", "cursor", "q"].flatMap((parameter) =>
      Object.entries(HOSTILE).map(([what, value]) => [parameter, what, value] as const),
    ),
  )(
    "line 25: %s with %s is refused, or text to look for that is nowhere",
    async (parameter, _what, value) => {
      const { http } = await buildPerson(system);
      const { status, body } = await http.get(`/tasks?${parameter}=${encodeNeeded(value)}`);
      if (parameter === "q" && status === 200) expect(body).toMatchObject({ items: [] });
      else expect([400, 422]).toContain(status);
    },
  );
});

/** As short as a query can have it: brackets needn't be encoded. */
const encodeNeeded = (value: string): string => encodeURIComponent(value).replaceAll("%5B", "[");
