import { readFileSync } from "node:fs";
import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask, httpFor, type Person, signIn } from "../support/client.ts";
import { query } from "../support/database.ts";
import { type LiveEvent, openEvents, within } from "../support/events.ts";
import { systems } from "../support/systems.ts";

/** Milliseconds within which a stream ends when its session does; generous, for a busy machine. */
const ENDS_WITHIN = 2_000;
/** Milliseconds: before the first heartbeat, which would find what no hint told of. */
const BEFORE_HEARTBEAT = 10_000;

const named = (events: LiveEvent[]): string[] =>
  events.map(({ event, data }) => `${event} ${data.op} ${data.version}`);

describe.each(systems)("live events, %s", (_mode, system) => {
  const open = (person: Person, from: { since?: number; lastEventId?: string } = {}) =>
    openEvents(system, { token: person.tokens.accessToken, ...from });

  test("every kind of change comes at once, in the order of the log, as GET /changes has it", async () => {
    const ada = await buildPerson(system);
    const stream = await open(ada);
    const task = await buildTask(ada, { title: "Buy milk 🥛" });
    await ada.http.patch(`/tasks/${task.id}`, { description: "one\ntwo\r\nthree" });
    await ada.http.delete(`/tasks/${task.id}`);
    await ada.http.post(`/trash/${task.id}/restore`);
    await ada.http.post(`/tasks/${task.id}/revert`, { version: 1 });
    await ada.http.delete(`/tasks/${task.id}`);

    const events = await within(BEFORE_HEARTBEAT, stream.take(6));
    expect(named(events)).toEqual([
      "task.created create 1",
      "task.updated update 2",
      "task.deleted delete 3",
      "task.restored restore 4",
      "task.updated update 5",
      "task.deleted delete 6",
    ]);
    const { body } = await ada.http.get<{ changes: object[] }>("/changes?since=0");
    expect(events.map(({ data }) => data)).toEqual(body.changes);
    expect(events.map(({ id }) => id)).toEqual(["1", "2", "3", "4", "5", "6"]);

    await ada.http.delete(`/trash/${task.id}`);
    const [erased] = (await stream.take(7)).slice(-1);
    expect(erased).toMatchObject({ event: "task.deleted", data: { op: "erase", task: null } });
    await stream.close();
  });

  test("a bulk comes whole and in order, however many pages of the log it is", async () => {
    const ada = await buildPerson(system);
    const stream = await open(ada);
    const operations = Array.from({ length: 240 }, (_, n) => ({
      op: "create",
      task: { title: `Task ${n}` },
    }));
    await ada.http.post("/tasks/bulk", { operations });

    const events = await stream.take(240);
    expect(events.map(({ data }) => data.task?.title)).toEqual(operations.map(({ task }) => task.title));
    expect(stream.seqs()).toEqual(Array.from({ length: 240 }, (_, n) => n + 1));
    await stream.close();
  });

  test("starts from now, and says from where, so that a client cut off at once can go on", async () => {
    const ada = await buildPerson(system);
    await buildTask(ada);
    await buildTask(ada);
    const stream = await open(ada);
    await stream.until(() => stream.raw().includes("\n\n"));
    expect(stream.raw()).toMatch(/^retry: \d{4}\nid: 2\n\n/);
    await stream.close();

    await buildTask(ada, { title: "Missed" });
    const resumed = await open(ada, { lastEventId: "2" });
    expect((await resumed.take(1)).map(({ data }) => data.task?.title)).toEqual(["Missed"]);
    await resumed.close();
  });

  test("no proxy may keep, change or hold it back; HEAD has the same headers and ends", async () => {
    const ada = await buildPerson(system);
    const origin = { Origin: "https://app.example.com" };
    const expected = {
      "content-type": "text/event-stream; charset=utf-8",
      "cache-control": "no-store, no-transform",
      "x-accel-buffering": "no",
      "x-request-id": expect.any(String),
    };
    const stream = await open(ada);
    expect(stream.headers).toMatchObject(expected);
    expect(stream.headers).not.toHaveProperty("content-length");
    await stream.close();
    const { status, headers } = await ada.http.send("HEAD", "/events", { headers: origin });
    expect(status).toBe(200);
    expect(Object.fromEntries(headers)).toMatchObject({
      ...expected,
      "access-control-allow-origin": "https://app.example.com",
    });
  });

  test.each([0, 3, 5])("since=%d goes on right after that change", async (since) => {
    const ada = await buildPerson(system);
    for (let n = 0; n < 5; n++) await buildTask(ada);
    const stream = await open(ada, { since });
    await buildTask(ada);
    await stream.take(6 - since);
    expect(stream.seqs()).toEqual([1, 2, 3, 4, 5, 6].slice(since));
    await stream.close();
  });

  test("Last-Event-ID wins over since, which stays in the address that a browser opens again", async () => {
    const ada = await buildPerson(system);
    for (let n = 0; n < 3; n++) await buildTask(ada);
    const stream = await open(ada, { since: 0, lastEventId: "2" });
    await stream.take(1);
    expect(stream.seqs()).toEqual([3]);
    await stream.close();
  });

  test("cut anywhere and resumed, while somebody writes, the parts together are the log", async () => {
    const ada = await buildPerson(system);
    let writing = true;
    const writer = (async () => {
      const tasks: Task[] = [];
      for (let n = 0; n < 60; n++) {
        const known = tasks[Math.floor(Math.random() * tasks.length * 2)];
        if (known) await ada.http.patch(`/tasks/${known.id}`, { title: `Changed ${n}` });
        else tasks.push(await buildTask(ada));
      }
      writing = false;
    })();
    const parts: LiveEvent[] = [];
    let last = "0";
    while (writing) {
      const stream = await open(ada, { lastEventId: last });
      const count = 1 + Math.floor(Math.random() * 8);
      // The last part may be shorter than what was waited for.
      await Promise.race([stream.take(count).catch(() => {}), writer]);
      await stream.close();
      parts.push(...stream.events);
      last = stream.events.at(-1)?.id ?? last;
    }
    await writer;
    const { body } = await ada.http.get<{ changes: object[] }>("/changes?since=0&limit=1000");
    const rest = await open(ada, { lastEventId: last });
    await rest.take(body.changes.length - parts.length);
    await rest.close();
    expect([...parts, ...rest.events].map(({ data }) => data)).toEqual(body.changes);
  });

  test("shows nobody another person's changes", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const stream = await open(ada, { since: 0 });
    await buildTask(bob, { title: "Bob's" });
    await buildTask(ada, { title: "Ada's" });
    await buildTask(bob, { title: "Bob's" });
    await buildTask(ada, { title: "Ada's" });
    const events = await stream.take(2);
    expect(events.map(({ data }) => data.task?.title)).toEqual(["Ada's", "Ada's"]);
    await stream.close();
    expect(stream.raw()).not.toContain(bob.user.id);
  });

  test("the example of docs/events.md follows them, with a new access token when the old one is refused", async () => {
    const [, code = ""] = /```js\n(.*?)```/s.exec(readFileSync("docs/events.md", "utf8")) ?? [];
    const follow = new Function(`${code}; return follow;`)();
    const ada = await buildPerson(system);
    let token = "expired";
    const tokens = {
      getAccessToken: async () => token,
      refresh: async () => {
        if (token === ada.tokens.accessToken) throw new Error("Sign in again.");
        token = ada.tokens.accessToken;
      },
    };
    const changes: LiveEvent["data"][] = [];
    const two = Promise.withResolvers<void>();
    const following = follow(
      system.baseUrl,
      tokens,
      (change: LiveEvent["data"]) => {
        changes.push(change);
        if (changes.length === 2) two.resolve();
      },
      "0",
    );
    following.catch(() => {});
    await buildTask(ada);
    await buildTask(ada);
    await two.promise;
    expect(changes.map(({ seq }) => seq)).toEqual([1, 2]);
    await ada.http.post("/auth/logout");
    await expect(following).rejects.toThrow("Sign in again.");
  });

  describe("a stream that can't begin", () => {
    test.each([
      ["/events?since=-1", {}, 422, "validation_failed"],
      ["/events?since=later", {}, 422, "validation_failed"],
      ["/events?form=now", {}, 422, "validation_failed"],
      ["/events", { "Last-Event-ID": "abc" }, 400, "invalid_request"],
      ["/events", { "Last-Event-ID": "-1" }, 400, "invalid_request"],
      ["/events?since=9", {}, 410, "since_expired"],
      ["/events?since=0", { "Last-Event-ID": "9" }, 410, "since_expired"],
    ])("%s %p is a problem document", async (path, headers, status, code) => {
      const ada = await buildPerson(system);
      const answer = await ada.http.get(path, { headers });
      expect(answer).toMatchObject({ status, body: { code } });
    });

    test("with changes that are not kept any more answers 410", async () => {
      const ada = await buildPerson(system);
      for (let n = 0; n < 3; n++) await buildTask(ada);
      await query(system.databaseUrl, "UPDATE tasks.change_heads SET compacted_to = 2 WHERE user_id = $1", [
        ada.user.id,
      ]);
      expect(await ada.http.get("/events?since=1")).toMatchObject({ status: 410 });
      const stream = await open(ada, { since: 2 });
      await stream.take(1);
      await stream.close();
    });

    test("without the scope is 403", async () => {
      const ada = await buildPerson(system);
      const { body } = await ada.http.post<{ token: string }>("/auth/tokens", {
        name: "writer",
        scopes: ["tasks:write"],
      });
      const answer = await httpFor(system, body.token).get("/events");
      expect(answer).toMatchObject({ status: 403, body: { code: "insufficient_scope" } });
    });

    test("as the 21st of a person is 429, until another closes", async () => {
      const ada = await buildPerson(system);
      const streams = await Promise.all(Array.from({ length: 20 }, () => open(ada)));
      expect(await ada.http.get("/events")).toMatchObject({
        status: 429,
        body: { code: "too_many_requests" },
      });
      await streams[0]?.close();
      // The gateway hears of it when the connection is gone.
      let next = await open(ada);
      while (next.status === 429) next = await open(ada);
      expect(next.status).toBe(200);
      await Promise.all([next, ...streams].map((stream) => stream.close()));
    });
  });

  describe("a stream ends", () => {
    const admin = async (): Promise<Person> => {
      const person = await buildPerson(system);
      await query(system.databaseUrl, "UPDATE auth.users SET role = 'admin' WHERE id = $1", [person.user.id]);
      return person;
    };

    test.each<[string, (ada: Person) => Promise<unknown>]>([
      ["when its person logs out", (ada) => ada.http.post("/auth/logout")],
      [
        "when its session is ended from another",
        async (ada) => {
          const other = httpFor(system, (await signIn(system, ada)).accessToken);
          return other.delete("/auth/sessions");
        },
      ],
      [
        "when the password is changed elsewhere",
        async (ada) => {
          const other = httpFor(system, (await signIn(system, ada)).accessToken);
          return other.post("/auth/password", {
            currentPassword: ada.password,
            newPassword: "another long password",
          });
        },
      ],
      [
        "when its person is disabled",
        async (ada) => (await admin()).http.patch(`/users/${ada.user.id}`, { disabled: true }),
      ],
      ["when the account is deleted", (ada) => ada.http.delete("/auth/me", { password: ada.password })],
      [
        "when somebody ends the session in the database",
        (ada) =>
          query(system.databaseUrl, "UPDATE auth.sessions SET ended_at = now() WHERE user_id = $1", [
            ada.user.id,
          ]),
      ],
    ])("%s", async (_when, end) => {
      const ada = await buildPerson(system);
      const stream = await open(ada);
      await end(ada);
      await within(ENDS_WITHIN, stream.ended);
      expect(await stream.ended).toBe("ended");
      const again = await open(ada);
      expect(again.status).toBe(401);
    });

    test("when its API token is deleted; other tokens and sessions go on", async () => {
      const ada = await buildPerson(system);
      const create = async (name: string) => {
        const body = { name, scopes: ["tasks:read"] };
        return (await ada.http.post<{ id: string; token: string }>("/auth/tokens", body)).body;
      };
      const [one, other] = [await create("one"), await create("other")];
      const [ends, goesOn, session] = await Promise.all([
        openEvents(system, one),
        openEvents(system, other),
        open(ada),
      ]);
      await ada.http.delete(`/auth/tokens/${one.id}`);
      await within(ENDS_WITHIN, ends.ended);
      await buildTask(ada);
      await Promise.all([goesOn.take(1), session.take(1)]);
      expect(ends.events).toEqual([]);
      await Promise.all([goesOn.close(), session.close()]);
    });
  });
});
