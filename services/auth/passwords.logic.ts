import bcrypt from "bcrypt";

export type Passwords = ReturnType<typeof createPasswords>;

/** bcrypt at a given cost (log2 of rounds). `maxBytes` is where it would stop reading. */
export function createPasswords({ cost, maxBytes }: { cost: number; maxBytes: number }) {
  // Compared when there is no such user: as much work as a real comparison, so that time tells nothing.
  const nobody = bcrypt.hash("nobody's password", cost);

  return {
    hash: (password: string): Promise<string> => bcrypt.hash(password, cost),

    /** Whether this is the password; takes as long when there is no hash to compare with. */
    async matches(password: string, hash: string | null): Promise<boolean> {
      const readable = Buffer.byteLength(password) <= maxBytes;
      const equal = await bcrypt.compare(password, hash ?? (await nobody));
      return equal && readable && hash !== null;
    },
  };
}
