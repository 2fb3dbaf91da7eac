import { createLargeBodies } from "./large-bodies.ts";

const [ADA, BOB] = ["ada", "bob"];
const LARGE = 64 * 1024;

function build() {
  const refusals: string[] = [];
  const bodies = createLargeBodies({ clock: () => 0, onRefused: (reason) => refusals.push(reason) });
  const begun: string[] = [];
  const { promise: end, resolve: finish } = Promise.withResolvers<void>();
  const send = (sender: string, bytes: number): Promise<void> =>
    bodies.inTurn({ sender, bytes }, () => {
      begun.push(sender);
      return end;
    });
  return { begun, finish, refusals, send };
}

const nextTurn = () => new Promise(setImmediate);

describe("large bodies", () => {
  it("are two of one sender's at a time, whoever else sends some", async () => {
    const { begun, finish, send } = build();
    const sent = [ADA, ADA, ADA, BOB].map((sender) => send(sender, LARGE));
    await nextTurn();
    expect(begun).toEqual([ADA, ADA, BOB]);
    finish();
    await Promise.all(sent);
    expect(begun).toEqual([ADA, ADA, BOB, ADA]);
  });

  it("are let wait, fifty of them; smaller ones never wait", async () => {
    const { begun, finish, refusals, send } = build();
    const sent = Array.from({ length: 52 }, () => send(ADA, LARGE));
    await expect(send(ADA, LARGE)).rejects.toMatchObject({
      type: "too_many_requests",
      data: { retryAfter: 2 },
    });
    expect(refusals).toEqual(["full"]);
    sent.push(send(ADA, LARGE - 1), send(BOB, LARGE));
    await nextTurn();
    expect(begun).toEqual([ADA, ADA, ADA, BOB].toSorted());
    finish();
    await Promise.all(sent);
    expect(begun).toHaveLength(54);
  });
});
