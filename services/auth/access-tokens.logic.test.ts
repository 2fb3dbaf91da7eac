import { Socket } from "node:net";
import fc from "fast-check";
import jwt from "jsonwebtoken";
import { SCOPES } from "../../lib/passport.ts";
import { flipBit, forge, forgeries, type Genuine, newKeyPair } from "../../tests/support/forged-tokens.ts";
import { createAccessTokens } from "./access-tokens.logic.ts";
import { createKeyring, type StoredKey } from "./keys.logic.ts";

const NOW = Date.UTC(2026, 10, 22, 10, 0, 0, 250);
const TTL = 600;
const ADA = { id: "0190-ada", email: "ada@example.com", role: "user" as const, timeZone: "Europe/London" };

async function setUp({ namespace = "mesh" }: { namespace?: string } = {}) {
  const stored: StoredKey[] = [];
  const keys = {
    list: jest.fn(async () => stored),
    insertFirst: async (key: StoredKey) => {
      stored.unshift(key);
    },
  };
  const time = { now: NOW };
  const clock = () => time.now;
  const keyring = createKeyring({ keys, secret: "the secret of these tests", clock });
  await keyring.open();
  const make = () => createAccessTokens({ keyring, namespace, ttl: TTL, clock });
  const tokens = make();
  const genuine = async (token: string): Promise<Genuine> => {
    const { kid, privateKey } = keyring.current();
    const publicKey = await keyring.find(kid);
    const decoded = jwt.decode(token, { complete: true });
    if (!publicKey || !decoded || typeof decoded.payload === "string") throw new Error("no genuine token");
    return {
      header: { alg: "ES256", typ: String(decoded.header.typ), kid },
      claims: decoded.payload,
      privateKey,
      publicKey,
    };
  };
  return { tokens, make, keys, stored, time, keyring, genuine };
}

describe("an access token", () => {
  it("names its session, for as long as it says", async () => {
    const { tokens, make, time } = await setUp();
    const token = tokens.issue(ADA, "session-1");
    // Claims are in whole seconds: it began with the second it was issued in.
    const expiry = (Math.floor(NOW / 1000) + TTL) * 1000;

    for (const [now, session] of [
      [NOW, "session-1"],
      [expiry - 1, "session-1"],
      [expiry, null],
      [expiry + 1, null],
    ] as const) {
      time.now = now;
      // One reader has seen it before and remembers it, the other has not: both judge alike.
      expect([now, await tokens.read(token)]).toEqual([now, session]);
      expect([now, await make().read(token)]).toEqual([now, session]);
    }
  });

  it("carries what RFC 9068 asks for and nothing secret", async () => {
    const { tokens } = await setUp();
    const decoded = jwt.decode(tokens.issue(ADA, "session-1"), { complete: true });

    expect(decoded?.header).toEqual({ alg: "ES256", typ: "at+jwt", kid: expect.any(String) });
    expect(decoded?.payload).toEqual({
      iss: "mesh",
      aud: "mesh/api",
      sub: ADA.id,
      user_id: ADA.id,
      email: ADA.email,
      role: "user",
      sid: "session-1",
      jti: expect.stringMatching(/^[0-9a-f-]{36}$/),
      iat: Math.floor(NOW / 1000),
      exp: Math.floor(NOW / 1000) + TTL,
    });
  });

  it("is read alike by whoever has it in the cache and whoever has not", async () => {
    const { tokens, make, time } = await setUp();
    const token = tokens.issue(ADA, "session-1");
    await tokens.read(token);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: NOW - 1000, max: NOW + 2 * TTL * 1000 }), async (now) => {
        time.now = now;
        expect(await tokens.read(token)).toBe(await make().read(token));
      }),
    );
  });

  it("line 13, line 14: is refused in every forged form, without a word to anyone", async () => {
    const { tokens, make, genuine } = await setUp();
    const token = tokens.issue(ADA, "session-1");
    const parts = await genuine(token);
    const other = forge(parts.header, parts.claims, parts.privateKey);
    expect(await make().read(other)).toBe("session-1");

    const connect = jest.spyOn(Socket.prototype, "connect");
    const forged = [
      ...forgeries(parts),
      ["another issuer", forge(parts.header, { ...parts.claims, iss: "other" }, parts.privateKey)],
      ["no session", forge(parts.header, { ...parts.claims, sid: undefined }, parts.privateKey)],
      ["no issuer", forge(parts.header, { ...parts.claims, iss: undefined }, parts.privateKey)],
      [
        "the type of a passport",
        forge({ ...parts.header, typ: "passport+jwt" }, parts.claims, parts.privateKey),
      ],
      [
        "the audience of passports",
        forge(parts.header, { ...parts.claims, aud: "mesh/bus" }, parts.privateKey),
      ],
    ] as const;
    const accepted = [];
    for (const [attack, attempt] of forged) {
      if ((await make().read(attempt)) !== null) accepted.push(attack);
    }
    expect(accepted).toEqual([]);
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
  });

  it("line 14: is refused with any one bit of it turned over", async () => {
    const { tokens } = await setUp();
    const token = tokens.issue(ADA, "session-1");
    expect(await tokens.read(token)).toBe("session-1");

    const accepted = [];
    for (let bit = 0; bit < token.length * 8; bit += 1) {
      if ((await tokens.read(flipBit(token, bit))) !== null) accepted.push(`${bit} of ${token.length * 8}`);
    }
    expect(accepted).toEqual([]);
  });

  it("is refused by another mesh that has the same keys", async () => {
    const { tokens, keyring, time } = await setUp();
    const elsewhere = createAccessTokens({
      keyring,
      namespace: "elsewhere",
      ttl: TTL,
      clock: () => time.now,
    });

    expect(await elsewhere.read(tokens.issue(ADA, "session-1"))).toBeNull();
  });

  it("line 14: is not what a passport is", async () => {
    const { tokens } = await setUp();

    expect(await tokens.read(tokens.passport(ADA, grant("session-1")))).toBeNull();
  });

  it("of an unknown key asks for keys once in five seconds, however many come", async () => {
    const { tokens, keys, genuine, time } = await setUp();
    const parts = await genuine(tokens.issue(ADA, "session-1"));
    const flood = () =>
      Promise.all(
        Array.from({ length: 50 }, (_, index) =>
          tokens.read(
            forge({ ...parts.header, kid: `made up ${index}` }, parts.claims, newKeyPair().privateKey),
          ),
        ),
      );
    keys.list.mockClear();

    time.now += 5_001;
    expect(new Set(await flood())).toEqual(new Set([null]));
    await flood();
    expect(keys.list).toHaveBeenCalledTimes(1);
    time.now += 5_001;
    await flood();
    expect(keys.list).toHaveBeenCalledTimes(2);
  });

  it("of a key that another replica just made is accepted, also when several come at once", async () => {
    const { tokens, stored, time } = await setUp();
    const replica = await setUp();
    const parts = await replica.genuine(replica.tokens.issue(ADA, "session-2"));
    stored.unshift(...replica.stored);
    time.now += 5_001;

    const arrivals = Array.from({ length: 3 }, (_, n) =>
      tokens.read(forge(parts.header, { ...parts.claims, jti: String(n) }, parts.privateKey)),
    );
    expect(await Promise.all(arrivals)).toEqual(["session-2", "session-2", "session-2"]);
  });
});

const grant = (sessionId: string) => ({ id: sessionId, sessionId, scopes: SCOPES });

describe("a passport", () => {
  it("is the same one for half its life, then a new one", async () => {
    const { tokens, time } = await setUp();
    const first = tokens.passport(ADA, grant("session-1"));
    time.now = NOW + 29_999;
    expect(tokens.passport(ADA, grant("session-1"))).toBe(first);
    time.now = NOW + 30_000;
    expect(tokens.passport(ADA, grant("session-1"))).not.toBe(first);
  });

  it("is a new one when the clock is set back: nobody else would take the one from the future", async () => {
    const { tokens, time } = await setUp();
    time.now = NOW + 3_600_000;
    const future = tokens.passport(ADA, grant("session-1"));
    time.now = NOW;
    const present = tokens.passport(ADA, grant("session-1"));
    expect(present).not.toBe(future);
    expect(tokens.passport(ADA, grant("session-1"))).toBe(present);
  });

  it("of a new key is known after the clock was set back", async () => {
    const { keys, keyring, time } = await setUp();
    time.now = NOW - 3_600_000;
    keys.list.mockClear();
    await keyring.find("rotated in meanwhile");
    expect(keys.list).toHaveBeenCalledTimes(1);
  });

  it("is a new one as soon as role or time zone change, and another for another session", async () => {
    const { tokens } = await setUp();
    const passports = [
      tokens.passport(ADA, grant("session-1")),
      tokens.passport({ ...ADA, role: "admin" }, grant("session-1")),
      tokens.passport({ ...ADA, timeZone: "Asia/Tokyo" }, grant("session-1")),
      tokens.passport(ADA, grant("session-2")),
    ];
    expect(passports.map((passport) => jwt.decode(passport))).toEqual([
      expect.objectContaining({ role: "user", tz: "Europe/London", sid: "session-1" }),
      expect.objectContaining({ role: "admin", tz: "Europe/London", sid: "session-1" }),
      expect.objectContaining({ role: "user", tz: "Asia/Tokyo", sid: "session-1" }),
      expect.objectContaining({ role: "user", tz: "Europe/London", sid: "session-2" }),
    ]);
  });

  it("says who this is, what they may do and for how long, to this mesh", async () => {
    const { tokens } = await setUp();
    const iat = Math.floor(NOW / 1000);
    const passport = tokens.passport(ADA, { ...grant("session-1"), scopes: ["tasks:read", "account"] });
    expect(jwt.decode(passport, { complete: true })).toMatchObject({
      header: { typ: "passport+jwt", alg: "ES256" },
      payload: {
        iss: "mesh",
        aud: "mesh/bus",
        sub: ADA.id,
        role: "user",
        sid: "session-1",
        tz: "Europe/London",
        scope: "tasks:read account",
        iat,
        exp: iat + 60,
      },
    });
    expect(jwt.decode(passport)).not.toHaveProperty("act");
  });

  it("without a session names none, and names the service that acts", async () => {
    const { tokens } = await setUp();
    const passport = jwt.decode(
      tokens.passport(ADA, { id: "a client", sessionId: null, scopes: [], client: "reminders" }),
    );
    expect(passport).toMatchObject({ sub: ADA.id, act: { sub: "reminders" } });
    expect(passport).not.toHaveProperty("sid");
  });

  it("is a new one when its scopes change", async () => {
    const { tokens } = await setUp();
    const scopesOf = (scopes: typeof SCOPES | []) =>
      jwt.decode(tokens.passport(ADA, { ...grant("session-1"), scopes }), { json: true })?.scope;
    expect([scopesOf(SCOPES), scopesOf([])]).toEqual([SCOPES.join(" "), ""]);
  });

  it("of auth's own says whom it erases, and may do nothing else", async () => {
    const { tokens } = await setUp();
    const iat = Math.floor(NOW / 1000);
    expect(jwt.decode(tokens.ownPassport(ADA.id), { complete: true })).toMatchObject({
      header: { typ: "passport+jwt", alg: "ES256" },
      payload: {
        iss: "mesh",
        aud: "mesh/bus",
        sub: ADA.id,
        role: "user",
        tz: "UTC",
        scope: "",
        act: { sub: "auth" },
        iat,
        exp: iat + 60,
      },
    });
  });
});
