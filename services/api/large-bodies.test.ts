import { createLargeBodies } from "./large-bodies.ts";

const [ADA, BOB] = ["ada", "bob"];
const LARGE = 64 * 1024;
const MIB = 2 ** 20;
const TOO_MANY = { type: "too_many_requests", data: { retryAfter: 2 } };

function build() {
  let refused = 0;
  const bodies = createLargeBodies({ onRefused: () => refused++ });
  const begun: string[] = [];
  const { promise: end, resolve: finish } = Promise.withResolvers<void>();
  const { promise: here, resolve: arrive } = Promise.withResolvers<void>();
  /** Of which all bytes have come, or none until they `arrive`. */
  const send = (sender: string, bytes: number, coming?: "later"): Promise<void> => {
    const read = async () => {
      if (coming) await here;
      return Buffer.alloc(bytes);
    };
    return bodies.take({ sender, bytes, read }, (body) => {
      expect(body).toHaveLength(bytes);
      begun.push(sender);
      return end;
    });
  };
  return { arrive, begun, finish, refused: () => refused, send };
}

const times = <T>(count: number, make: () => T): T[] => Array.from({ length: count }, make);

describe("large bodies", () => {
  it("are refused before they come when there are 32 MiB of the same sender's, until those are answered", async () => {
    const { arrive, begun, finish, refused, send } = build();
    const sent = times(32, () => send(ADA, MIB, "later"));
    await expect(send(ADA, LARGE)).rejects.toMatchObject(TOO_MANY);
    expect(refused()).toBe(1);
    sent.push(send(ADA, LARGE - 1), send(BOB, MIB));
    arrive();
    finish();
    await Promise.all(sent);
    expect(begun).toHaveLength(34);
    await send(ADA, LARGE);
  });

  it("are refused when there are 128 MiB of all senders', whether or not the others' can be read", async () => {
    const { arrive, finish, refused, send } = build();
    const sent = ["a", "b", "c", "d"].flatMap((sender) => times(32, () => send(sender, MIB, "later")));
    const late = send(ADA, LARGE);
    await expect(late).rejects.toMatchObject({ type: "unavailable", data: { retryAfter: 2 } });
    expect(refused()).toBe(0);
    arrive();
    finish();
    await Promise.all(sent);
    await send(ADA, LARGE);
  });

  it("that can't be read leave their room to others", async () => {
    const bodies = createLargeBodies({ onRefused: () => {} });
    const cut = () => Promise.reject(new Error("cut off"));
    for (let n = 0; n < 40; n++) {
      const failing = bodies.take({ sender: ADA, bytes: MIB, read: cut }, async () => "never");
      await expect(failing).rejects.toThrow("cut off");
    }
  });
});
