import { loadEnv } from "../config/env.ts";
import { readTime } from "../mixins/database.ts";
import { createKeyring, createSigningKey, resealKey } from "../services/auth/keys.logic.ts";
import { createKeyRepository } from "../services/auth/keys.repository.ts";
import { useRunningDatabase } from "./embedded/running.ts";
import { onDatabase } from "./on-database.ts";

const USAGE = `Usage: npm run keys -- rotate | reseal
  rotate  signs with a new key from now on; the old one verifies until its last token is gone
  reseal  after a change of AUTH_SECRET: seals the keys with it. Stop auth, set AUTH_SECRET to the new one and
          OLD_AUTH_SECRET to the old one, run this, start auth. Everybody signs in again: refresh tokens are
          derived from the secret.`;

const [command] = process.argv.slice(2);
const { OLD_AUTH_SECRET } = process.env;
if ((command !== "rotate" && command !== "reseal") || (command === "reseal" && !OLD_AUTH_SECRET)) {
  console.error(USAGE);
  process.exit(2);
}

useRunningDatabase();
const env = loadEnv("AUTH_DATABASE_URL", "AUTH_SECRET");
await onDatabase(env.AUTH_DATABASE_URL, async (database) => {
  const keys = createKeyRepository(database);
  if (command === "rotate") {
    // With another secret than auth's, no auth could read the new key, nor start.
    await createKeyring({ keys, secret: env.AUTH_SECRET, clock: Date.now }).open();
    // By the clock that every auth goes by, whatever this machine's says.
    const key = createSigningKey(env.AUTH_SECRET, await readTime(database));
    await keys.rotate(key);
    console.log(`Signing with the key ${key.kid} from now on.`);
  } else {
    const count = await keys.reseal((key) => resealKey(key, OLD_AUTH_SECRET ?? "", env.AUTH_SECRET));
    console.log(`Sealed ${count} keys with the new AUTH_SECRET.`);
  }
});
