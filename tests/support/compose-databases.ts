import { readFileSync } from "node:fs";
import { query } from "./database.ts";

/** URLs of the database `taskmesh`: of the server's superuser, and of the role of each service. */
export type TaskmeshDatabase = Record<"admin" | "auth" | "tasks", string>;

const PASSWORD = "0123456789abcdef";

/** What deploy/compose/databases.sql makes of a new server: the first start of the compose file's PostgreSQL does it. */
export async function makeDatabases(server: string): Promise<TaskmeshDatabase> {
  await query(server, "CREATE DATABASE taskmesh");
  const as = (user: object): string =>
    Object.assign(new URL(server), { pathname: "/taskmesh", ...user }).href;
  const script = readFileSync("deploy/compose/databases.sql", "utf8");
  await query(as({}), script.replace(/^\\getenv.*$/gm, "").replace(/:'\w+'/g, `'${PASSWORD}'`));
  const ofService = (name: string): string => as({ username: `taskmesh_${name}`, password: PASSWORD });
  return { admin: as({}), auth: ofService("auth"), tasks: ofService("tasks") };
}
