/**
 * Runs work when it is asked for: never twice at a time, and once more when it was asked for meanwhile.
 *
 * @param work deals with its own failures
 */
export function oneAtATime(work: () => Promise<void>): () => void {
  let running = false;
  let wanted = false;
  return async () => {
    wanted = true;
    if (running) return;
    running = true;
    while (wanted) {
      wanted = false;
      await work();
    }
    running = false;
  };
}
