import { objectionTo } from "./bus-guard.ts";

const info = (services: unknown) => ({ sender: "tasks@host-1", services });
const action = (name: string) => ({ [name]: { name } });

const receiver = (ownUsers: boolean) => ({
  nodeId: "api@host-1",
  namespace: "mesh",
  ownUsers,
  askedNode: (id: string) => (id === "pending" ? "auth@host-1" : undefined),
});
const judge = (cmd: string, payload: unknown, publisher: unknown = "mesh-tasks") =>
  objectionTo({ cmd, payload, publisher }, receiver(true));

describe("a packet of a mesh with a user for each service", () => {
  it.each<[string, string, unknown]>([
    ["a node of that user's service", "HEARTBEAT", { sender: "tasks@host-1" }],
    ["a request", "REQ", { sender: "tasks@host-1", id: "1", action: "auth.jwks" }],
    ["a node that serves nothing", "INFO", info([])],
    [
      "its service",
      "INFO",
      info([
        { name: "tasks", fullName: "tasks", actions: { ...action("tasks.list"), ...action("tasks.get") } },
      ]),
    ],
    [
      "a second version of it",
      "INFO",
      info([{ name: "tasks", version: 2, fullName: "v2.tasks", actions: action("v2.tasks.list") }]),
    ],
    ["an answer that nobody waits for any more", "RES", { sender: "tasks@host-1", id: "late" }],
  ])("is believed from %s", (_, cmd, payload) => {
    expect(judge(cmd, payload)).toBeNull();
  });

  it.each<[string, string, unknown]>([
    ["another service", "INFO", info([{ name: "auth", fullName: "auth", actions: {} }])],
    ["another service beside its own", "INFO", info([{ name: "tasks" }, { name: "auth" }])],
    ["another service's action", "INFO", info([{ name: "tasks", actions: action("auth.verify") }])],
    [
      "another's action under a harmless key",
      "INFO",
      info([{ name: "tasks", actions: { "tasks.list": { name: "auth.verify" } } }]),
    ],
    ["another full name", "INFO", info([{ name: "tasks", fullName: "auth" }])],
    ["a name that begins alike", "INFO", info([{ name: "tasks2" }])],
    ["a version that is a service", "INFO", info([{ name: "tasks", fullName: "auth.tasks" }])],
    ["an action without a name", "INFO", info([{ name: "tasks", actions: { "tasks.list": {} } }])],
    ["no list", "INFO", info({ name: "auth" })],
    ["nothing as a service", "INFO", info([null])],
  ])("is not believed when it announces %s", (_, cmd, payload) => {
    expect(judge(cmd, payload)).toBe("announces what is not of that user's service");
  });

  it.each(["auth@host-1", "auth", "tasks", "@tasks", "tasks-2@host-1"])(
    "is not believed from a node %j of another user",
    (sender) => {
      for (const cmd of [
        "REQ",
        "RES",
        "EVENT",
        "INFO",
        "DISCOVER",
        "DISCONNECT",
        "HEARTBEAT",
        "PING",
        "PONG",
      ]) {
        expect([cmd, judge(cmd, { sender })]).toEqual([cmd, "speaks in the name of another service's node"]);
      }
    },
  );

  it.each([
    undefined,
    null,
    "",
    "tasks",
    "mesh-",
    "other-tasks",
    "mesh-tasks@host-1",
    { name: "mesh-tasks" },
  ])("is not believed of the user %j", (publisher) => {
    const objection = objectionTo(
      { cmd: "HEARTBEAT", payload: { sender: "tasks@host-1" }, publisher },
      receiver(true),
    );
    expect(objection).toMatch(/^(does not say which user|speaks in the name of another)/);
  });

  it("is no answer to what another node was asked", () => {
    expect(judge("RES", { sender: "tasks@host-1", id: "pending" })).toBe(
      "answers what another node was asked",
    );
    expect(judge("RES", { sender: "auth@host-1", id: "pending" }, "mesh-auth")).toBeNull();
  });

  it.each([null, undefined, 5, "text", [], {}, { sender: 5 }, { sender: null }, { sender: "" }])(
    "is not believed as %j",
    (payload) => {
      expect(judge("REQ", payload)).toBe("has no sender");
    },
  );
});

describe("a packet of a mesh with one user for all", () => {
  const judgeShared = (payload: unknown) =>
    objectionTo({ cmd: "REQ", payload, publisher: undefined }, receiver(false));

  it("is believed whoever sent it", () => {
    expect(judgeShared({ sender: "auth@host-1" })).toBeNull();
    expect(judgeShared({ sender: "x".repeat(150) })).toBeNull();
  });

  it("is not believed in the name of the node that receives it", () => {
    expect(judgeShared({ sender: "api@host-1" })).toBe("speaks in this node's own name");
  });

  it.each([null, "text", {}, { sender: "" }, { sender: "x".repeat(151) }])(
    "is not believed without a sender that can be answered: %j",
    (payload) => {
      expect(judgeShared(payload)).toBe("has no sender");
    },
  );
});
