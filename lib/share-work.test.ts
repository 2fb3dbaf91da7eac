import { shareWork } from "./share-work.ts";

describe("shared work", () => {
  it("is begun once for all who ask while it runs, and anew for who asks later", async () => {
    const share = shareWork<number>();
    let begun = 0;
    const ask = (key: string) => share(key, async () => ++begun);
    expect(await Promise.all([ask("a"), ask("a"), ask("b")])).toEqual([1, 1, 2]);
    expect(await ask("a")).toBe(3);
  });

  it("fails for all who asked, and not for who asks later", async () => {
    const share = shareWork<string>();
    const failing = () => share("a", () => Promise.reject(new Error("no")));
    const outcomes = await Promise.allSettled([failing(), failing()]);
    expect(outcomes.map(({ status }) => status)).toEqual(["rejected", "rejected"]);
    expect(await share("a", async () => "done")).toBe("done");
  });
});
