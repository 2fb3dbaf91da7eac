import { accountActions } from "./accounts.schema.ts";
import { adminActions } from "./admin.schema.ts";
import { apiTokenActions } from "./api-tokens.schema.ts";
import { clientActions } from "./clients.schema.ts";
import { identityActions } from "./identities.schema.ts";
import { recoveryActions } from "./recovery.schema.ts";
import { sessionActions } from "./sessions.schema.ts";

/** What the auth service's actions take and answer. */
export const authActions = {
  ...accountActions,
  ...sessionActions,
  ...recoveryActions,
  ...identityActions,
  ...apiTokenActions,
  ...adminActions,
  ...clientActions,
} as const;
