import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { loadEnv } from "../config/env.ts";
import { SERVICE_NAME, weakness } from "../config/rules.ts";
import { busDefinitions, hashBusPassword } from "../lib/bus-users.ts";

/*
 * npm run --silent rabbitmq -- auth tasks api > definitions.json
 *
 * RabbitMQ's definitions for a mesh with a user for each of these services; of the rights see docs/security.md.
 * RABBITMQ_AUTH_PASSWORD and so on hold the passwords. With --out FOLDER it writes them there, and beside them a
 * rabbitmq.conf that loads them.
 */

const [first, folder, ...others] = process.argv.slice(2);
const out = first === "--out" ? folder : undefined;
const services = out === undefined ? process.argv.slice(2) : others;
if (services.length === 0 || !services.every((name) => SERVICE_NAME.test(name))) {
  console.error("Usage: npm run rabbitmq -- [--out FOLDER] SERVICE…   (such as: auth tasks api)");
  process.exit(2);
}

const passwords = services.map((service) => {
  const variable = `RABBITMQ_${service.toUpperCase().replaceAll("-", "_")}_PASSWORD`;
  const password = process.env[variable] ?? "";
  return { service, variable, password, reason: weakness(password, 16) };
});
const weak = passwords.flatMap(({ variable, reason }) =>
  reason === null ? [] : [`  ${variable} ${reason}\n`],
);
if (weak.length > 0) {
  console.error(`RabbitMQ's users cannot be made with these passwords:\n${weak.join("")}`);
  process.exit(1);
}

const { MESH_NAMESPACE } = loadEnv();
const hashes = passwords.map(({ service, password }) => [service, hashBusPassword(password)]);
const definitions = `${JSON.stringify(busDefinitions(MESH_NAMESPACE, Object.fromEntries(hashes)), null, 2)}\n`;

if (out === undefined) {
  process.stdout.write(definitions);
} else {
  mkdirSync(out, { recursive: true });
  writeFileSync(join(out, "definitions.json"), definitions);
  // With definitions to load, RabbitMQ makes no guest. It loads them at each start: a changed password counts then.
  writeFileSync(join(out, "rabbitmq.conf"), `load_definitions = ${join(out, "definitions.json")}\n`);
}
