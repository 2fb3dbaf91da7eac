import { fork } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { freePort, type System } from "../../tests/support/system.ts";

/** Starts the bare server (bare-server.ts) over the tables and with the signing key of a mesh. */
export async function startBare({ baseUrl, databaseUrl }: System) {
  const port = await freePort();
  const jwks = await (await fetch(`${baseUrl}/.well-known/jwks.json`)).json();
  const child = fork(join(import.meta.dirname, "bare-server.ts"), {
    env: {
      ...process.env,
      DATABASE_URL: databaseUrl,
      PORT: String(port),
      JWK: JSON.stringify(Object(jwks).keys[0]),
    },
  });
  await once(child, "message");
  return { child, origin: `http://127.0.0.1:${port}` };
}
