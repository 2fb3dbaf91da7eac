import { accessSync, constants, readdirSync } from "node:fs";
import { delimiter, join } from "node:path";

/** Folders of server programs that are often not in PATH, before those that are. */
const FOLDERS = [
  // Debian's own scripts: those in /usr/sbin would change to the system's RabbitMQ user.
  "/usr/lib/rabbitmq/bin",
  ...versions("/usr/lib/postgresql"),
  ...["/opt/homebrew", "/usr/local"].flatMap((prefix) => [
    `${prefix}/opt/rabbitmq/sbin`,
    `${prefix}/opt/postgresql@18/bin`,
    `${prefix}/bin`,
  ]),
];

/** Path of an installed program, or `null`. */
export function findProgram(name: string): string | null {
  const folders = [...FOLDERS, ...(process.env.PATH ?? "").split(delimiter)];
  return folders.map((folder) => join(folder, name)).find(isExecutable) ?? null;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** `<folder>/<version>/bin`, the newest first. */
function versions(folder: string): string[] {
  try {
    return readdirSync(folder)
      .sort((a, b) => Number(b) - Number(a))
      .map((version) => join(folder, version, "bin"));
  } catch {
    return [];
  }
}
