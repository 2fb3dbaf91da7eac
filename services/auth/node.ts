import type { Service } from "moleculer";
import type { loadEnv } from "../../config/env.ts";
import type { Change } from "./changes.repository.ts";

/** What auth needs of the node that it runs on. */
export interface Node {
  /** There is one once the service has been created. */
  log: () => Pick<Service["logger"], "info" | "warn" | "error">;
  /** Calls an action without params, with this passport. */
  call: (action: string, passport: string) => Promise<unknown>;
  /** Tells gateways, which may keep something open, whose rights have changed; `any`: possibly everybody's. */
  tellGateways: (change: { kind: Change["kind"] | "any"; id: string }) => unknown;
}

export type AuthEnv = ReturnType<typeof loadEnv<"AUTH_DATABASE_URL" | "AUTH_SECRET">>;
