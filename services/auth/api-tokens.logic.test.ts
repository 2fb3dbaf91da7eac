import { createHash, randomBytes } from "node:crypto";
import type { Scope } from "../../lib/passport.ts";
import {
  identityOf,
  NOW,
  recordAudit,
  storeApiToken,
  storeSession,
} from "../../tests/support/auth-factories.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createApiTokenLogic, isSecretOf, readApiToken } from "./api-tokens.logic.ts";
import { createApiTokenRepository } from "./api-tokens.repository.ts";

let db: MigratedDatabase;
beforeAll(async () => {
  db = await createMigratedDatabase();
});
afterAll(() => db.drop());

async function build() {
  const { audit, audited } = recordAudit();
  const apiTokens = createApiTokenRepository(db.database);
  const logic = createApiTokenLogic({ apiTokens, audit, clock: () => NOW });
  const session = await storeSession(db.database);
  return { logic, audited, apiTokens, caller: identityOf(session) };
}

const wanted = (fields: { scopes?: Scope[]; expiresAt?: string | null } = {}) => ({
  name: "backup",
  scopes: ["tasks:read"] satisfies Scope[] as Scope[],
  expiresAt: null,
  ...fields,
});

describe("making a token", () => {
  it("shows it once; the database holds the hash of its secret", async () => {
    const { logic, audited, apiTokens, caller } = await build();
    const { token, ...shown } = await logic.create(caller, wanted({ expiresAt: "2026-11-22T10:00:00.001Z" }));

    expect(shown).toEqual({
      id: expect.any(String),
      name: "backup",
      scopes: ["tasks:read"],
      createdAt: "2026-11-22T10:00:00.000Z",
      expiresAt: "2026-11-22T10:00:00.001Z",
      lastUsedAt: null,
    });
    expect(token).toMatch(/^tmp_[\w-]{64}$/);
    const read = readApiToken(token);
    expect(read?.id).toBe(shown.id);
    const [row] = await apiTokens.list(caller.userId);
    const secretHash = createHash("sha256")
      .update(read?.secret ?? "")
      .digest();
    expect(row).toEqual({
      ...shown,
      userId: caller.userId,
      secretHash,
      createdAt: new Date(NOW),
      expiresAt: new Date(NOW + 1),
    });
    expect(audited).toEqual([
      {
        event: "token_create",
        result: "success",
        userId: caller.userId,
        sessionId: caller.sessionId,
        detail: { tokenId: shown.id },
      },
    ]);
  });

  it("without an end gives one without", async () => {
    const { logic, caller } = await build();
    expect(await logic.create(caller, wanted())).toMatchObject({ expiresAt: null });
  });

  it("that would be expired is refused, and said where", async () => {
    const { logic, audited, apiTokens, caller } = await build();
    await expect(
      logic.create(caller, wanted({ expiresAt: "2026-11-22T10:00:00.000Z" })),
    ).rejects.toMatchObject({
      type: "validation_failed",
      message: "The token would be expired already.",
      data: {
        violations: [
          { path: ["expiresAt"], code: "too_small", detail: '"expiresAt" must be in the future.' },
        ],
      },
    });
    expect({ audited, stored: await apiTokens.list(caller.userId) }).toEqual({ audited: [], stored: [] });
  });

  it("is nothing that a token can do", async () => {
    const { logic, audited, apiTokens, caller } = await build();
    await expect(logic.create({ ...caller, sessionId: null }, wanted())).rejects.toMatchObject({
      type: "forbidden",
      message: "Sign in with the password to make an API token.",
    });
    expect({ audited, stored: await apiTokens.list(caller.userId) }).toEqual({ audited: [], stored: [] });
  });

  it("ends at a hundred", async () => {
    const { logic, caller } = await build();
    for (let n = 0; n < 99; n++) await storeApiToken(db.database, { userId: caller.userId });
    const hundredth = await logic.create(caller, wanted());
    const another = () => logic.create(caller, wanted());
    await expect(another()).rejects.toMatchObject({
      type: "forbidden",
      message: "Nobody can have more than 100 tokens: delete one first.",
    });
    await logic.remove(caller, hundredth.id);
    await expect(another()).resolves.toBeDefined();
  });

  it("ends at a hundred, however many are made at once", async () => {
    const { logic, apiTokens, caller } = await build();
    for (let n = 0; n < 98; n++) await storeApiToken(db.database, { userId: caller.userId });
    const made = await Promise.allSettled(Array.from({ length: 8 }, () => logic.create(caller, wanted())));
    expect(made.filter(({ status }) => status === "fulfilled")).toHaveLength(2);
    expect(await apiTokens.list(caller.userId)).toHaveLength(100);
  });
});

describe("tokens", () => {
  it("are listed to their owner without their secrets, the latest first", async () => {
    const { logic, caller } = await build();
    const { userId } = caller;
    await storeApiToken(db.database);
    const first = await storeApiToken(db.database, { userId, lastUsedAt: new Date(NOW + 5) });
    const second = await storeApiToken(db.database, { userId, expiresAt: new Date(NOW + 9) });
    const shown = { name: "a script", scopes: ["tasks:read"], createdAt: "2026-11-22T10:00:00.000Z" };
    expect(await logic.list(caller)).toEqual({
      items: [
        { ...shown, id: second.id, expiresAt: "2026-11-22T10:00:00.009Z", lastUsedAt: null },
        { ...shown, id: first.id, expiresAt: null, lastUsedAt: "2026-11-22T10:00:00.005Z" },
      ],
    });
  });

  it("are deleted by their owner only, once", async () => {
    const { logic, audited, apiTokens, caller } = await build();
    const mine = await storeApiToken(db.database, { userId: caller.userId });
    const theirs = await storeApiToken(db.database);
    expect(await logic.remove(caller, mine.id)).toBeNull();
    for (const { id } of [mine, theirs])
      await expect(logic.remove(caller, id)).rejects.toMatchObject({
        type: "not_found",
        message: "There is no such token.",
      });
    expect(await apiTokens.list(theirs.userId)).toEqual([theirs]);
    expect(audited).toEqual([
      {
        event: "token_delete",
        result: "success",
        userId: caller.userId,
        sessionId: caller.sessionId,
        detail: { tokenId: mine.id },
      },
    ]);
  });
});

describe("reading a token", () => {
  const bytes = Buffer.from(`01a202a978407b218f3e6c5d4b3a2918${"ab".repeat(32)}`, "hex");
  const token = `tmp_${bytes.toString("base64url")}`;

  it("finds id and secret", () => {
    expect(readApiToken(token)).toEqual({
      id: "01a202a9-7840-7b21-8f3e-6c5d4b3a2918",
      secret: Buffer.alloc(32, 0xab),
    });
  });

  it("refuses whatever is not spelt as it was given", () => {
    const longer = `tmp_${Buffer.concat([bytes, Buffer.alloc(3)]).toString("base64url")}`;
    for (const other of ["", "tmp_", token.slice(4), `tmr_${token.slice(4)}`, `${token}=`, longer])
      expect(readApiToken(other)).toBeNull();
    expect(readApiToken(token.slice(0, -4))).toBeNull();
  });

  it("refuses whatever nobody made, without failing", () => {
    for (let tries = 0; tries < 100; tries++) {
      const made = readApiToken(`tmp_${randomBytes(48).toString("base64url")}`);
      if (made) expect(made.id).toMatch(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    }
    expect(readApiToken(`tmp_${Buffer.alloc(48, 0xab).toString("base64url")}`)).toBeNull();
  });

  it("tells a secret from another", () => {
    const secret = randomBytes(32);
    const hash = createHash("sha256").update(secret).digest();
    expect([isSecretOf(secret, hash), isSecretOf(randomBytes(32), hash)]).toEqual([true, false]);
  });
});
