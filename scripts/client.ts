import { parseArgs } from "node:util";
import { loadEnv } from "../config/env.ts";
import { SCOPES } from "../lib/passport.ts";
import { createClient } from "../services/auth/clients.logic.ts";
import { createClientRepository } from "../services/auth/clients.repository.ts";
import { useRunningDatabase } from "./embedded/running.ts";
import { onDatabase } from "./on-database.ts";

const USAGE = `Usage: npm run client -- add <name> --scopes ${SCOPES.join(",")} [--for-users] | list | remove <name>
  add     makes a credential for a service that has no signed-in person at hand, and shows its secret this once;
          --for-users lets it act for people, within its scopes
  remove  takes it back: its last passport is good for another minute`;

const { values, positionals } = readArguments();
const [command, name = ""] = positionals;
const wanted = values.scopes.split(",");
const scopes = SCOPES.filter((scope) => wanted.includes(scope));
const valid =
  command === "list" ||
  (command === "remove" && name !== "") ||
  // "auth" is what auth's own passports say.
  (command === "add" &&
    /^[a-z][a-z0-9-]{1,62}$/.test(name) &&
    name !== "auth" &&
    scopes.length === wanted.length);
if (!valid) refuse();

useRunningDatabase();
const { AUTH_DATABASE_URL } = loadEnv("AUTH_DATABASE_URL");
await onDatabase(AUTH_DATABASE_URL, async (database) => {
  const clients = createClientRepository(database);
  if (command === "add") {
    const { client, secret } = createClient({ name, scopes, actsForUsers: values["for-users"] }, Date.now());
    const added = await clients.insert(client);
    console.log(added ? secret : `There is a client ${name} already.`);
    if (!added) process.exitCode = 1;
  }
  if (command === "remove" && !(await clients.remove(name))) {
    console.error(`There is no client ${name}.`);
    process.exitCode = 1;
  }
  if (command === "list") {
    for (const client of await clients.list()) {
      console.log(`${client.name}  ${client.scopes.join(",")}${client.actsForUsers ? "  for users" : ""}`);
    }
  }
});

function readArguments() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: { scopes: { type: "string", default: "" }, "for-users": { type: "boolean", default: false } },
    });
  } catch {
    return refuse();
  }
}

function refuse(): never {
  console.error(USAGE);
  process.exit(2);
}
