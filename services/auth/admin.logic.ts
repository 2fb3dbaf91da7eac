import type { Caller } from "../../lib/action.ts";
import { notFound } from "../../lib/errors.ts";
import { lastAdmin, toUserView } from "./accounts.logic.ts";
import type { AuditEvent, UserRecord } from "./admin.schema.ts";
import type { Audit } from "./audit.logic.ts";
import type { AuditFilter, AuditRow } from "./audit.repository.ts";
import type { AccessPatch, UserRepository, UserRow } from "./users.repository.ts";

interface AdminOptions {
  users: UserRepository;
  auditEvents: { list(filter: AuditFilter): Promise<AuditRow[]> };
  audit: Audit;
  clock: () => number;
}

interface PageParams {
  limit: number;
  cursor?: string;
}

const toUserRecord = (user: UserRow): UserRecord => ({
  ...toUserView(user),
  disabled: user.disabledAt !== null,
});

const toAuditEvent = ({ at, address, ...row }: AuditRow): AuditEvent => ({
  ...row,
  at: at.toISOString(),
  ip: address,
});

/** One more than asked for was read: it shows whether there is a next page. */
function toPage<Row extends { id: string }, View>(rows: Row[], limit: number, view: (row: Row) => View) {
  const page = rows.slice(0, limit);
  return { items: page.map(view), nextCursor: rows.length > limit ? (page.at(-1)?.id ?? null) : null };
}

/** What administrators may do. That the caller is one has been checked by the guard. */
export function createAdminLogic({ users, auditEvents, audit, clock }: AdminOptions) {
  return {
    async listUsers({ search, limit, cursor }: PageParams & { search?: string }) {
      const filter = {
        ...(search === undefined ? {} : { search }),
        ...(cursor === undefined ? {} : { after: cursor }),
      };
      return toPage(await users.list({ ...filter, limit: limit + 1 }), limit, toUserRecord);
    },

    /** Felt by the user's next request. @throws not_found, last_admin */
    async changeUser(
      { userId: adminId, sessionId, from: client }: Caller,
      id: string,
      { role, disabled }: { role?: "user" | "admin"; disabled?: boolean },
    ): Promise<UserRecord> {
      const patch: AccessPatch = {
        ...(role === undefined ? {} : { role }),
        ...(disabled === undefined ? {} : { disabledAt: disabled ? new Date(clock()) : null }),
      };
      const changed = await users.changeAccess(id, patch);
      if (changed === null) throw notFound("user");
      if (changed === "last_admin") throw lastAdmin();
      const by = { result: "success" as const, userId: id, sessionId, client, detail: { by: adminId } };
      if (role !== undefined) await audit({ event: "role_change", ...by, detail: { by: adminId, role } });
      if (disabled !== undefined) await audit({ event: disabled ? "user_disable" : "user_enable", ...by });
      return toUserRecord(changed);
    },

    async listAuditEvents({ limit, cursor, ...filter }: PageParams & { userId?: string; event?: string }) {
      const before = cursor === undefined ? {} : { before: cursor };
      return toPage(await auditEvents.list({ ...filter, ...before, limit: limit + 1 }), limit, toAuditEvent);
    },
  };
}
