import { LRUCache } from "lru-cache";

interface Owned {
  /** The user that a session or an API token belongs to. */
  id: string;
}

const MAX_CACHED = 50_000;

/**
 * Remembers who a session or an API token belongs to, for as long as the database tells of every change. While it
 * does not (`trust(false)`) each look-up reads the row: slower, never wrong.
 */
export function createOwnerCache<Owner extends Owned>(load: (id: string) => Promise<Owner | null>) {
  const owners = new LRUCache<string, Owner>({ max: MAX_CACHED });
  let trusted = false;
  /** Counts what was forgotten: a row that was read before a change must not be remembered after it. */
  let generation = 0;

  return {
    trust(listening: boolean): void {
      trusted = listening;
      generation++;
      owners.clear();
    },

    forget(id: string): void {
      generation++;
      owners.delete(id);
    },

    forgetUser(userId: string): void {
      generation++;
      for (const [id, owner] of owners.entries()) if (owner.id === userId) owners.delete(id);
    },

    async find(id: string): Promise<Owner | null> {
      const known = trusted ? owners.get(id) : undefined;
      if (known) return known;
      const before = generation;
      const owner = await load(id);
      if (owner && trusted && generation === before) owners.set(id, owner);
      return owner;
    },
  };
}
