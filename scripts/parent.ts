/**
 * Calls `stop` once when scripts/run.cjs, which started this process, is gone: however it ended, kill -9
 * included, its end of the ipc channel between the two closes. Does nothing in a process started otherwise.
 */
export function onParentGone(stop: () => void): void {
  if (process.channel === undefined) {
    if (process.connected === false) stop(); // it was already gone before we asked
    return;
  }
  process.once("disconnect", stop);
  process.channel.unref(); // listening alone must not keep a finished script running
}
