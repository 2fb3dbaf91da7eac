import { createOwnerCache } from "./owner-cache.logic.ts";

/** A cache of owners that the test can change, and what was read of them. */
function build(owners: Record<string, string | undefined> = { s1: "ada", s2: "ada", s3: "ben" }) {
  const read: string[] = [];
  /** Runs while a row is on its way. */
  const meanwhile = { run: () => {} };
  const cache = createOwnerCache(async (id: string) => {
    read.push(id);
    const owner = owners[id];
    meanwhile.run();
    return owner === undefined ? null : { id: owner };
  });
  return { cache, read, owners, meanwhile };
}

describe("who a session belongs to", () => {
  it("is read each time while changes are not told", async () => {
    const { cache, read } = build();
    expect([await cache.find("s1"), await cache.find("s1")]).toEqual([{ id: "ada" }, { id: "ada" }]);
    expect(read).toEqual(["s1", "s1"]);
  });

  it("is read once while they are", async () => {
    const { cache, read } = build();
    cache.trust(true);
    expect([await cache.find("s1"), await cache.find("s1")]).toEqual([{ id: "ada" }, { id: "ada" }]);
    expect(read).toEqual(["s1"]);
  });

  it("is not remembered when it is nobody's", async () => {
    const { cache, read, owners } = build();
    cache.trust(true);
    expect(await cache.find("s4")).toBeNull();
    owners.s4 = "eve";
    expect(await cache.find("s4")).toEqual({ id: "eve" });
    expect(read).toEqual(["s4", "s4"]);
  });

  it("is read again once changes were not told for a while", async () => {
    const { cache, read } = build();
    cache.trust(true);
    await cache.find("s1");
    cache.trust(false);
    await cache.find("s1");
    cache.trust(true);
    await cache.find("s1");
    await cache.find("s1");
    expect(read).toEqual(["s1", "s1", "s1"]);
  });

  it("is forgotten by session", async () => {
    const { cache, read } = build();
    cache.trust(true);
    for (const id of ["s1", "s2"]) await cache.find(id);
    cache.forget("s1");
    for (const id of ["s1", "s2"]) await cache.find(id);
    expect(read).toEqual(["s1", "s2", "s1"]);
  });

  it("is forgotten by user, all sessions of theirs and nobody else's", async () => {
    const { cache, read } = build();
    cache.trust(true);
    for (const id of ["s1", "s2", "s3"]) await cache.find(id);
    cache.forgetUser("ada");
    for (const id of ["s1", "s2", "s3"]) await cache.find(id);
    expect(read).toEqual(["s1", "s2", "s3", "s1", "s2"]);
  });
});

describe("a row that is read while something changes", () => {
  it.each<[string, (cache: ReturnType<typeof build>["cache"]) => void]>([
    ["a session ends", (cache) => cache.forget("s1")],
    ["a user changes", (cache) => cache.forgetUser("ada")],
    [
      "changes are lost and told again",
      (cache) => {
        cache.trust(false);
        cache.trust(true);
      },
    ],
    ["changes are told for the first time", (cache) => cache.trust(true)],
  ])("is not remembered: %s", async (_name, change) => {
    const { cache, read, meanwhile } = build();
    cache.trust(true);
    meanwhile.run = () => change(cache);
    await cache.find("s1");
    meanwhile.run = () => {};
    await cache.find("s1");
    await cache.find("s1");
    expect(read).toEqual(["s1", "s1"]);
  });

  it("is not remembered when changes are no longer told", async () => {
    const { cache, read, meanwhile } = build();
    cache.trust(true);
    meanwhile.run = () => cache.trust(false);
    await cache.find("s1");
    meanwhile.run = () => {};
    await cache.find("s1");
    expect(read).toEqual(["s1", "s1"]);
  });
});
