import { randomBytes } from "node:crypto";
import {
  chownSync,
  closeSync,
  fsyncSync,
  linkSync,
  openSync,
  readFileSync,
  rmSync,
  writeSync,
} from "node:fs";
import { dirname, join } from "node:path";
import { explainFolder } from "./data-folder.ts";
import { codeOf } from "./refusal.ts";
import type { User } from "./server-user.ts";

/** The secret of this data folder, 32 random bytes in base64url; made on the first call and the same ever after. */
export function authSecret(folder: string): string {
  const file = join(folder, "auth-secret");
  try {
    return readSecret(file) ?? makeSecret(file);
  } catch (error) {
    throw explainFolder(error, folder);
  }
}

/**
 * Writes a new secret that only its owner may read, whole and on the disk before it has its name. Of several
 * processes that do so at once one succeeds, and the others get what that one wrote.
 *
 * @param owner user and group that the file is handed to
 */
export function makeSecret(file: string, owner?: User): string {
  const draft = `${file}.${randomBytes(6).toString("hex")}`;
  try {
    const draftFile = openSync(draft, "wx", 0o600);
    writeSync(draftFile, `${randomBytes(32).toString("base64url")}\n`);
    fsyncSync(draftFile);
    closeSync(draftFile);
    if (owner) chownSync(draft, owner.uid, owner.gid);
    linkSync(draft, file); // a rename would replace the secret of a process that was faster
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
  syncFolder(dirname(file));
  return readFileSync(file, "utf8").trim();
}

export function readSecret(file: string): string | undefined {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    if (codeOf(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Puts a folder's names on the disk: after it a file made or renamed there survives a power cut. */
export function syncFolder(folder: string): void {
  const handle = openSync(folder, "r");
  fsyncSync(handle);
  closeSync(handle);
}
