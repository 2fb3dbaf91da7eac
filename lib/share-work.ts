/**
 * Work that several may ask for at a time: of what has the same key, the first is done, and its outcome is for all who ask
 * while it runs. For work that it does no harm to have asked for a moment too late.
 */
export function shareWork<T>(): (key: string, work: () => Promise<T>) => Promise<T> {
  const running = new Map<string, Promise<T>>();
  return (key, work) => {
    const shared = running.get(key) ?? work().finally(() => running.delete(key));
    running.set(key, shared);
    return shared;
  };
}
