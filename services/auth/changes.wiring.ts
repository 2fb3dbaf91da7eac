import { listenForChanges } from "./changes.repository.ts";
import type { createIdentityLogic } from "./identities.logic.ts";
import type { Keyring } from "./keys.logic.ts";
import type { AuthEnv, Node } from "./node.ts";

/** Milliseconds between readings of the signing keys, beside what is told of them. */
const KEYS_INTERVAL = 60_000;

interface Parts extends Pick<Node, "log" | "tellGateways"> {
  identities: Pick<ReturnType<typeof createIdentityLogic>, "forget" | "trust">;
  keyring: Pick<Keyring, "open">;
}

/** Puts together what keeps this replica up to date: what others change, it hears of from the database. */
export function wireChanges(
  env: Pick<AuthEnv, "AUTH_DATABASE_URL">,
  { identities, keyring, log, tellGateways }: Parts,
) {
  let reading: NodeJS.Timeout | undefined;
  /** Whether the log says that changes are not told: it is tried again twice a second. */
  let isLogged = false;
  const takeUpKeys = () =>
    void keyring.open().catch((error: unknown) => log().error({ err: error }, "the keys could not be read"));
  const changes = listenForChanges({
    url: env.AUTH_DATABASE_URL,
    onChange(change) {
      identities.forget(change);
      if (change.kind !== "keys") tellGateways(change);
      else takeUpKeys();
    },
    onState(listening) {
      identities.trust(listening);
      if (!listening) return;
      if (isLogged) log().info("changes are told again");
      isLogged = false;
      // Of what changed meanwhile nobody was told.
      tellGateways({ kind: "any", id: "" });
      takeUpKeys();
    },
    onError(error) {
      if (isLogged) return;
      isLogged = true;
      log().warn({ err: error }, "changes are not told at present: sessions are read at each request");
    },
  });

  return {
    /** Answers when this replica has heard of the change it made, so that the caller's next request meets it. */
    async told<T>(change: Promise<T>): Promise<T> {
      const result = await change;
      await changes.caughtUp();
      return result;
    },

    async start(): Promise<void> {
      await changes.start();
      // What could not be read when it was told of: who signs with a retired key is soon believed by nobody.
      reading = setInterval(takeUpKeys, KEYS_INTERVAL);
    },

    async stop(): Promise<void> {
      clearInterval(reading);
      await changes.close();
    },
  };
}
