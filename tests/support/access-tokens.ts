import { createAccessTokens } from "../../services/auth/access-tokens.logic.ts";
import { createKeyring, createSigningKey } from "../../services/auth/keys.logic.ts";

const SECRET = "the secret of these tests";

/** Access tokens and passports of a mesh with a signing key of its own. */
export async function openAccessTokens(clock: () => number) {
  const keyring = createKeyring({
    keys: { list: async () => [key], insertFirst: async () => {} },
    secret: SECRET,
    clock,
  });
  const key = createSigningKey(SECRET, clock());
  await keyring.open();
  return createAccessTokens({ keyring, namespace: "mesh", ttl: 600, clock });
}
