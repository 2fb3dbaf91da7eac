import { spawn } from "node:child_process";
import { chmodSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

/**
 * Makes a folder for throw-away servers. It is removed a moment after this process has ended, however that ends:
 * a shell waits for the end of a pipe that only this process holds.
 */
export function makeScratchFolder(run: string): string {
  const folder = mkdtempSync(join(tmpdir(), `taskmesh-test-${run}-`));
  chmodSync(folder, 0o711); // the throw-away PostgreSQL of root runs as another user
  const janitor = spawn("/bin/sh", ["-c", 'read _; sleep 2; rm -rf -- "$1"', "janitor", folder], {
    stdio: ["pipe", "ignore", "ignore"],
    cwd: "/",
    detached: true,
  });
  janitor.unref();
  return folder;
}
