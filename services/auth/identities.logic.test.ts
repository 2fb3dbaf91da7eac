import { createHash } from "node:crypto";
import jwt from "jsonwebtoken";
import { parse as parseUuid } from "uuid";
import { SCOPES } from "../../lib/passport.ts";
import { openAccessTokens } from "../../tests/support/access-tokens.ts";
import { NOW } from "../../tests/support/auth-factories.ts";
import type { ApiTokenOwner } from "./api-tokens.repository.ts";
import type { Change } from "./changes.repository.ts";
import { createIdentityLogic } from "./identities.logic.ts";
import type { SessionOwner } from "./sessions.repository.ts";

const SESSION = "01a202a9-7840-7b21-8f3e-6c5d4b3a2901";
const TOKEN = "01a202a9-7840-7b21-8f3e-6c5d4b3a2902";
const USER = "01a202a9-7840-7b21-8f3e-6c5d4b3a2903";
const refused = { type: "invalid_token", message: "The access token is invalid, expired or revoked." };

const apiToken = (id: string, secret: Buffer) =>
  `tmp_${Buffer.concat([parseUuid(id), secret]).toString("base64url")}`;
const SECRET = Buffer.alloc(32, 7);
const user = { id: USER, email: "ada@example.test", role: "admin" as const, timeZone: "Asia/Tokyo" };

/** The rules beside a database of one session and one API token. */
async function build(over: Partial<ApiTokenOwner & SessionOwner> = {}) {
  const time = { now: NOW };
  const read: string[] = [];
  const touched: unknown[] = [];
  const errors: unknown[] = [];
  const state = { failing: false };
  const accessTokens = await openAccessTokens(() => time.now);
  const touch = async (id: string, at: Date) => {
    if (state.failing) throw new Error("no database");
    touched.push([id, at.getTime() - NOW]);
  };
  const sessionOwner = { ...user, lastUsedAt: new Date(NOW), ...over };
  const tokenOwner: ApiTokenOwner = {
    ...user,
    scopes: ["tasks:read"],
    secretHash: createHash("sha256").update(SECRET).digest(),
    expiresAt: null,
    lastUsedAt: new Date(NOW),
    ...over,
  };
  const identities = createIdentityLogic({
    sessions: {
      async findOwner(id) {
        read.push(id);
        return id === SESSION ? { ...sessionOwner } : null;
      },
      touch,
    },
    apiTokens: {
      async findOwner(id) {
        read.push(id);
        return id === TOKEN ? { ...tokenOwner } : null;
      },
      touch,
    },
    accessTokens,
    clock: () => time.now,
    onError: (error) => errors.push(error),
  });
  const accessToken = accessTokens.issue(user, SESSION);
  return { identities, time, read, touched, errors, state, accessTokens, accessToken };
}

const claimsOf = ({ passport }: { passport: string }) => jwt.decode(passport, { json: true });

describe("an access token", () => {
  it("is its person's, with a session and everything a person may do", async () => {
    const { identities, accessToken } = await build();
    const verified = await identities.verify(accessToken);
    expect(verified).toEqual({
      user,
      session: { id: SESSION },
      scopes: [...SCOPES],
      passport: expect.any(String),
    });
    expect(claimsOf(verified)).toMatchObject({
      sub: USER,
      role: "admin",
      sid: SESSION,
      tz: "Asia/Tokyo",
      scope: SCOPES.join(" "),
    });
  });

  it("of a session that has ended is refused", async () => {
    const { identities, accessTokens } = await build();
    await expect(identities.verify(accessTokens.issue(user, TOKEN))).rejects.toMatchObject(refused);
  });

  it("that nobody signed is refused without a look at the database", async () => {
    const { identities, read } = await build();
    await expect(identities.verify("forged")).rejects.toMatchObject(refused);
    expect(read).toEqual([]);
  });
});

describe("an API token", () => {
  it("is its owner's, without a session and with its own scopes", async () => {
    const { identities } = await build();
    const verified = await identities.verify(apiToken(TOKEN, SECRET));
    expect(verified).toEqual({ user, session: null, scopes: ["tasks:read"], passport: expect.any(String) });
    expect(claimsOf(verified)).toMatchObject({ sub: USER, scope: "tasks:read", tz: "Asia/Tokyo" });
    expect(claimsOf(verified)).not.toHaveProperty("sid");
  });

  it("with another secret, of another id or in another form is refused", async () => {
    const { identities, read } = await build();
    for (const token of [apiToken(TOKEN, Buffer.alloc(32, 8)), apiToken(SESSION, SECRET), "tmp_forged"])
      await expect(identities.verify(token)).rejects.toMatchObject(refused);
    expect(read).toEqual([TOKEN, SESSION]);
  });

  it("works until its last millisecond, remembered or not", async () => {
    const { identities, time } = await build({ expiresAt: new Date(NOW + 1_000) });
    identities.trust(true);
    time.now += 999;
    await expect(identities.verify(apiToken(TOKEN, SECRET))).resolves.toBeDefined();
    time.now += 1;
    await expect(identities.verify(apiToken(TOKEN, SECRET))).rejects.toMatchObject(refused);
  });
});

describe.each([
  ["an access token", SESSION, ({ accessToken }: { accessToken: string }) => accessToken],
  ["an API token", TOKEN, () => apiToken(TOKEN, SECRET)],
])("the use of %s", (_name, id, tokenOf) => {
  it("is written down once a minute", async () => {
    const built = await build();
    const { identities, time, touched, read } = built;
    identities.trust(true);
    for (const after of [59_999, 1, 0, 59_999, 1]) {
      time.now += after;
      await identities.verify(tokenOf(built));
    }
    expect(touched).toEqual([
      [id, 60_000],
      [id, 120_000],
    ]);
    expect(read).toEqual([id]);
  });

  it("goes on when it can't be written down, which is told", async () => {
    const built = await build({ lastUsedAt: new Date(0) });
    built.state.failing = true;
    await expect(built.identities.verify(tokenOf(built))).resolves.toBeDefined();
    await new Promise(setImmediate);
    expect(built.errors).toEqual([new Error("no database")]);
  });
});

describe("what is remembered of tokens", () => {
  const use = async (change: Change) => {
    const { identities, accessToken, read } = await build();
    identities.trust(true);
    const useBoth = async () => {
      await identities.verify(accessToken);
      await identities.verify(apiToken(TOKEN, SECRET));
    };
    await useBoth();
    read.length = 0;
    identities.forget(change);
    await useBoth();
    return read;
  };

  it.each<[Change["kind"], string, string[]]>([
    ["session", SESSION, [SESSION]],
    ["api_token", TOKEN, [TOKEN]],
    ["user", USER, [SESSION, TOKEN]],
    ["session", TOKEN, []],
    ["api_token", SESSION, []],
    ["user", SESSION, []],
    ["keys", SESSION, []],
    ["keys", TOKEN, []],
    ["keys", USER, []],
  ])("a change of %s %s makes read again: %j", async (kind, id, readAgain) => {
    expect(await use({ kind, id })).toEqual(readAgain);
  });

  it("is nothing while changes are not told", async () => {
    const { identities, accessToken, read } = await build();
    identities.trust(true);
    identities.trust(false);
    for (const token of [accessToken, accessToken, apiToken(TOKEN, SECRET), apiToken(TOKEN, SECRET)])
      await identities.verify(token);
    expect(read).toEqual([SESSION, SESSION, TOKEN, TOKEN]);
  });
});
