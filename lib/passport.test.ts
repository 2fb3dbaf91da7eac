import { Socket } from "node:net";
import fc from "fast-check";
import jwt from "jsonwebtoken";
import { flipBit, forge, forgeries, newKeyPair } from "../tests/support/forged-tokens.ts";
import { createPassportVerifier, type Identity, PASSPORT_TYPE, type PublicJwk } from "./passport.ts";

const NOW = Date.UTC(2026, 10, 22, 10, 0, 0, 250);
const IDENTITY = expect.objectContaining({
  userId: "ada",
  role: "user",
  sessionId: "session-1",
  timeZone: "Europe/London",
});

function setUp() {
  const pair = newKeyPair();
  const jwk = (kid: string, { publicKey } = pair): PublicJwk => ({
    ...publicKey.export({ format: "jwk" }),
    kid,
  });
  const time = { now: NOW };
  const keys = [jwk("key-1")];
  const fetchKeys = jest.fn(async () => keys);
  const make = () => createPassportVerifier({ namespace: "mesh", fetchKeys, clock: () => time.now });
  const iat = Math.floor(NOW / 1000);
  const header = { alg: "ES256", typ: PASSPORT_TYPE, kid: "key-1" };
  const claims = {
    aud: "mesh/bus",
    sub: "ada",
    role: "user",
    sid: "session-1",
    tz: "Europe/London",
    scope: "tasks:read tasks:write account",
    iat,
    exp: iat + 60,
  };
  const passport = forge(header, claims, pair.privateKey);
  return {
    verify: make(),
    make,
    pair,
    jwk,
    time,
    keys,
    fetchKeys,
    header,
    claims,
    passport,
    expiry: (iat + 60) * 1000,
  };
}

/** What became of a passport: an identity, or the code of the refusal. */
const outcome = (verification: Promise<Identity>): Promise<unknown> =>
  verification.catch((error: unknown) => (error instanceof Error && "type" in error ? error.type : error));

describe("a passport", () => {
  it("of a key that was rotated in after the clock was set back is known", async () => {
    const { verify, time, keys, jwk, header, claims, passport } = setUp();
    time.now = NOW + 3_600_000;
    await outcome(verify(passport));
    time.now = NOW;
    const other = newKeyPair();
    keys.push(jwk("key-2", other));
    expect(await outcome(verify(forge({ ...header, kid: "key-2" }, claims, other.privateKey)))).toEqual(
      IDENTITY,
    );
  });

  it("says who a call is made for, until it expires to the millisecond", async () => {
    const { verify, make, passport, time, expiry } = setUp();
    for (const [now, expected] of [
      [NOW, IDENTITY],
      [expiry - 1, IDENTITY],
      [expiry, "invalid_passport"],
      [expiry + 1, "invalid_passport"],
    ] as const) {
      time.now = now;
      expect([now, await outcome(verify(passport))]).toEqual([now, expected]);
      expect([now, await outcome(make()(passport))]).toEqual([now, expected]);
    }
  });

  it("is verified once and then remembered", async () => {
    const { verify, fetchKeys, passport, time, expiry } = setUp();
    const signatures = jest.spyOn(jwt, "verify");
    await verify(passport);
    time.now = expiry - 1;

    expect(await verify(passport)).toEqual(IDENTITY);
    expect([fetchKeys, signatures].map(({ mock }) => mock.calls.length)).toEqual([1, 1]);
    signatures.mockRestore();
  });

  it("line 13, line 29: is refused in every forged form, and nobody is asked but auth", async () => {
    const { make, pair, header, claims } = setUp();
    const connect = jest.spyOn(Socket.prototype, "connect");
    const genuine = { header, claims, ...pair };
    const forged = [
      ...forgeries(genuine),
      ["the type of an access token", forge({ ...header, typ: "at+jwt" }, claims, pair.privateKey)],
      ["the audience of access tokens", forge(header, { ...claims, aud: "mesh/api" }, pair.privateKey)],
      ["no person", forge(header, { ...claims, sub: undefined }, pair.privateKey)],
      ["a person that is an object", forge(header, { ...claims, sub: { $ne: "" } }, pair.privateKey)],
      ["an unknown role", forge(header, { ...claims, role: "root" }, pair.privateKey)],
      ["a list of roles", forge(header, { ...claims, role: ["admin"] }, pair.privateKey)],
      ["no time zone", forge(header, { ...claims, tz: undefined }, pair.privateKey)],
      ["a longer life than auth gives", forge(header, { ...claims, exp: claims.iat + 121 }, pair.privateKey)],
      ["5,000 characters", forge(header, { ...claims, more: "x".repeat(5_000) }, pair.privateKey)],
    ] as const;

    const outcomes = [];
    for (const [attack, attempt] of forged) outcomes.push([attack, await outcome(make()(attempt))]);
    expect(outcomes).toEqual(forged.map(([attack]) => [attack, "invalid_passport"]));
    expect(connect).not.toHaveBeenCalled();
    connect.mockRestore();
  });

  it("says what its holder may do, and whether a person is there", async () => {
    const { make, pair, header, claims } = setUp();
    const read = (changes: object) => make()(forge(header, { ...claims, ...changes }, pair.privateKey));

    expect(await read({ scope: "account tasks:read" })).toMatchObject({ scopes: ["tasks:read", "account"] });
    expect(await read({ scope: "tasks:read,account everything tasks:readx" })).toMatchObject({ scopes: [] });
    expect(await read({ scope: "" })).toMatchObject({ scopes: [] });
    expect(await read({})).toMatchObject({ sessionId: "session-1", client: null });
    expect(await read({ sid: undefined, act: { sub: "mailer" } })).toMatchObject({
      sessionId: null,
      client: "mailer",
    });
    for (const scope of [undefined, null, ["account"], { account: true }]) {
      expect([scope, await outcome(read({ scope }))]).toEqual([scope, "invalid_passport"]);
    }
  });

  it("is refused when it is no text at all", async () => {
    const { verify, passport } = setUp();
    for (const thing of [undefined, null, 0, true, {}, [passport], { toString: () => passport }]) {
      expect([thing, await outcome(verify(thing))]).toEqual([thing, "invalid_passport"]);
    }
  });

  it("line 29: is refused with any one bit of it turned over", async () => {
    const { verify, passport } = setUp();
    await verify(passport);

    const accepted = [];
    for (let bit = 0; bit < passport.length * 8; bit += 1) {
      if ((await outcome(verify(flipBit(passport, bit)))) !== "invalid_passport") accepted.push(bit);
    }
    expect(accepted).toEqual([]);
  });

  it("is judged alike whether it is remembered or not", async () => {
    const { verify, make, passport, time } = setUp();
    await verify(passport);
    await fc.assert(
      fc.asyncProperty(fc.integer({ min: NOW - 1000, max: NOW + 120_000 }), async (now) => {
        time.now = now;
        expect(await outcome(verify(passport))).toEqual(await outcome(make()(passport)));
      }),
    );
  });
});

describe("auth's keys", () => {
  it("are asked for once, however many calls come at once", async () => {
    const { verify, fetchKeys, passport } = setUp();
    const identities = await Promise.all(Array.from({ length: 50 }, () => verify(passport)));

    expect(new Set(identities.map(({ userId }) => userId))).toEqual(new Set(["ada"]));
    expect(fetchKeys).toHaveBeenCalledTimes(1);
  });

  it("are asked for again at most once in five seconds, whatever key ids are made up", async () => {
    const { verify, fetchKeys, header, claims, pair, passport, time } = setUp();
    const forged = Array.from({ length: 50 }, (_, n) =>
      forge({ ...header, kid: `made up ${n}` }, claims, pair.privateKey),
    );
    const flood = () => Promise.all(forged.map((attempt) => outcome(verify(attempt))));
    await verify(passport);
    fetchKeys.mockClear();

    expect(new Set(await flood())).toEqual(new Set(["invalid_passport"]));
    await flood();
    expect(fetchKeys).toHaveBeenCalledTimes(1);
    time.now += 5_001;
    await flood();
    await flood();
    expect(fetchKeys).toHaveBeenCalledTimes(2);
  });

  it("are asked for again in time, however many key ids are made up meanwhile", async () => {
    const { verify, keys, jwk, header, claims, pair, passport, time } = setUp();
    await verify(passport);
    const rotated = newKeyPair();
    for (const end = time.now + 6_000; time.now < end; time.now += 500) {
      await outcome(verify(forge({ ...header, kid: `made up ${time.now}` }, claims, pair.privateKey)));
      if (keys.length === 1) keys.unshift(jwk("key-2", rotated));
    }
    expect(await verify(forge({ ...header, kid: "key-2" }, claims, rotated.privateKey))).toEqual(IDENTITY);
  });

  it("are asked for again when a passport names a new one, however new the others are", async () => {
    const { verify, keys, jwk, header, claims, passport } = setUp();
    await verify(passport);
    const rotated = newKeyPair();
    keys.unshift(jwk("key-2", rotated));

    const [first, second] = [1, 2].map((n) =>
      verify(forge({ ...header, kid: "key-2" }, { ...claims, n }, rotated.privateKey)),
    );
    expect([await first, await second]).toEqual([IDENTITY, IDENTITY]);
  });

  it("that auth no longer publishes are forgotten in a quarter of an hour, however busy the service is", async () => {
    const { verify, keys, jwk, header, claims, pair, passport, time } = setUp();
    const rotated = newKeyPair();
    await verify(passport);
    const signed = (kid: string, privateKey = pair.privateKey) =>
      forge({ ...header, kid }, { ...claims, exp: Math.floor(time.now / 1000) + 60 }, privateKey);
    // For a while auth publishes both, then the new one alone.
    keys.unshift(jwk("key-2", rotated));
    time.now += 6_000;
    await verify(signed("key-2", rotated.privateKey));
    keys.length = 1;
    for (let minute = 0; minute < 16; minute += 1) {
      time.now += 60_000;
      await verify(signed("key-2", rotated.privateKey));
    }
    expect(await outcome(verify(signed("key-1")))).toBe("invalid_passport");
  });

  it("that can't be fetched are an outage, no verdict; the next call asks again", async () => {
    const { verify, fetchKeys, passport } = setUp();
    fetchKeys.mockRejectedValueOnce(new Error("auth is down"));

    await expect(verify(passport)).rejects.toThrow("auth is down");
    expect(await verify(passport)).toEqual(IDENTITY);
  });
});
