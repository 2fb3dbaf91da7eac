import type { KeyObject } from "node:crypto";
import { openDatabase } from "../../mixins/database.ts";
import { createKeyring } from "../../services/auth/keys.logic.ts";
import { createKeyRepository } from "../../services/auth/keys.repository.ts";
import type { System } from "./system.ts";

/** The key that a system signs tokens with: for what it would never sign. */
export async function signingKeyOf({ databaseUrl, env }: Pick<System, "databaseUrl" | "env">): Promise<{
  kid: string;
  privateKey: KeyObject;
  publicKey: KeyObject;
}> {
  const database = openDatabase(databaseUrl);
  try {
    const keys = createKeyRepository(database);
    const keyring = createKeyring({ keys, secret: env.AUTH_SECRET ?? "", clock: Date.now });
    await keyring.open();
    const { kid, privateKey } = keyring.current();
    const publicKey = await keyring.find(kid);
    if (!publicKey) throw new Error("The key has no public part.");
    return { kid, privateKey, publicKey };
  } finally {
    await database.close();
  }
}
