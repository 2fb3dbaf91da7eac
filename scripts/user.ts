import { loadEnv } from "../config/env.ts";
import { createAuditRepository } from "../services/auth/audit.repository.ts";
import { createUserRepository } from "../services/auth/users.repository.ts";
import { useRunningDatabase } from "./embedded/running.ts";
import { onDatabase } from "./on-database.ts";

const USAGE = `Usage: npm run user -- promote <email>
  Makes the account with this address an administrator: the first one, who can promote others by the API.`;

const [command, email] = process.argv.slice(2);
if (command !== "promote" || !email) {
  console.error(USAGE);
  process.exit(2);
}

useRunningDatabase();
const { AUTH_DATABASE_URL } = loadEnv("AUTH_DATABASE_URL");
await onDatabase(AUTH_DATABASE_URL, async (database) => {
  const users = createUserRepository(database);
  const auditEvents = createAuditRepository(database);
  const user = await users.findByEmail(email.trim().normalize("NFKC").toLowerCase());
  if (user) {
    await users.changeAccess(user.id, { role: "admin" });
    const detail = { by: "npm run user", role: "admin" };
    await auditEvents.insert(
      { event: "role_change", result: "success", userId: user.id, detail },
      new Date(),
    );
  }
  console.log(user ? `${user.email} is an administrator.` : `There is no account with the address ${email}.`);
  if (!user) process.exitCode = 1;
});
