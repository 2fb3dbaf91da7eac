import { randomUUID } from "node:crypto";
import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask, type Person } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

const withKey = (key: string) => ({ headers: { "Idempotency-Key": key } });
const replayed = ({ headers }: { headers: Headers }) => headers.get("idempotency-replayed");

describe.each(systems)("an Idempotency-Key, %s", (_mode, system) => {
  const countOf = async ({ http }: Person): Promise<number> =>
    (await http.get<{ items: Task[] }>("/tasks?limit=100")).body.items.length;

  test("makes a creation that is repeated one, with the answer of the first time", async () => {
    const person = await buildPerson(system);
    const key = randomUUID();
    const first = await person.http.post<Task>("/tasks", { title: "Once", tags: ["a"] }, withKey(key));
    await person.http.patch(`/tasks/${first.body.id}`, { title: "Changed since" });
    // The order of the fields makes no other request.
    const second = await person.http.post<Task>("/tasks", { tags: ["a"], title: "Once" }, withKey(key));
    expect([first.status, replayed(first)]).toEqual([201, null]);
    expect([second.status, replayed(second)]).toEqual([201, "true"]);
    expect(second.body).toEqual(first.body);
    expect(second.headers.get("etag")).toBe('"1"');
    expect(second.headers.get("location")).toBe(first.headers.get("location"));
    expect(await countOf(person)).toBe(1);
  });

  test("empties the trash of what was there the first time, and of nothing that came since", async () => {
    const person = await buildPerson(system);
    const [before, since] = [await buildTask(person), await buildTask(person)];
    await person.http.delete(`/tasks/${before.id}`);
    const key = randomUUID();
    const empty = () => person.http.send("DELETE", "/trash", withKey(key));
    expect(await empty()).toMatchObject({ status: 204 });
    // As long after it as nodes' clocks may differ.
    await person.http.delete(`/tasks/${since.id}`);
    await query(
      system.databaseUrl,
      "UPDATE tasks.tasks SET deleted_at = deleted_at + interval '2 s' WHERE user_id = $1",
      [person.user.id],
    );
    const again = await empty();
    expect([again.status, replayed(again)]).toEqual([204, "true"]);
    const { body } = await person.http.get<{ items: Task[] }>("/trash");
    expect(body.items.map(({ id }) => id)).toEqual([since.id]);
    expect(await person.http.send("DELETE", "/trash", withKey("not one"))).toMatchObject({ status: 400 });
  });

  test("repeats the answer of every kind of write, and does none of them twice", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    const writes: [string, string, unknown?][] = [
      ["PATCH", `/tasks/${id}`, { title: "B" }],
      ["PATCH", `/tasks/${id}`, { title: "B" }], // changes nothing, and is answered alike all the same
      ["POST", `/tasks/${id}/revert`, { version: 1 }],
      ["DELETE", `/tasks/${id}`],
      ["POST", `/trash/${id}/restore`],
      [
        "POST",
        "/tasks/bulk",
        {
          operations: [
            { op: "create", task: { title: "C" } },
            { op: "delete", id },
          ],
        },
      ],
      ["DELETE", `/trash/${id}`],
    ];
    for (const [method, path, body] of writes) {
      const key = randomUUID();
      const first = await person.http.send(method, path, { body, ...withKey(key) });
      const log = await query(system.databaseUrl, "SELECT FROM tasks.task_changes WHERE user_id = $1", [
        person.user.id,
      ]);
      const second = await person.http.send(method, path, { body, ...withKey(key) });
      expect([path, second.status, second.body]).toEqual([path, first.status, first.body]);
      expect([path, replayed(first), replayed(second)]).toEqual([path, null, "true"]);
      const after = await query(system.databaseUrl, "SELECT FROM tasks.task_changes WHERE user_id = $1", [
        person.user.id,
      ]);
      expect([path, after.length]).toEqual([path, log.length]);
    }
  });

  test("of another request is refused, and does nothing", async () => {
    const person = await buildPerson(system);
    const key = randomUUID();
    const { body } = await person.http.post<Task>("/tasks", { title: "One" }, withKey(key));
    for (const send of [
      () => person.http.post("/tasks", { title: "Two" }, withKey(key)),
      () => person.http.patch(`/tasks/${body.id}`, { title: "Two" }, withKey(key)),
      () => person.http.delete(`/tasks/${body.id}`, undefined, withKey(key)),
    ]) {
      expect(await send()).toMatchObject({ status: 422, body: { code: "idempotency_key_reused" } });
    }
    expect((await person.http.get<Task>(`/tasks/${body.id}`)).body).toEqual(body);
  });

  test("of one person is no key of another", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const key = randomUUID();
    const [first, second] = [
      await ada.http.post<Task>("/tasks", { title: "Same" }, withKey(key)),
      await bob.http.post<Task>("/tasks", { title: "Same" }, withKey(key)),
    ];
    expect([second.status, replayed(second)]).toEqual([201, null]);
    expect(second.body.userId).toBe(bob.user.id);
    expect(second.body.id).not.toBe(first.body.id);
  });

  test("with twenty requests at once makes one write; the others wait for its answer or are told to", async () => {
    const person = await buildPerson(system);
    const key = randomUUID();
    const answers = await Promise.all(
      Array.from({ length: 20 }, () => person.http.post<Task>("/tasks", { title: "Once" }, withKey(key))),
    );
    const created = answers.filter(({ status }) => status === 201);
    expect(created.filter((answer) => replayed(answer) === null)).toHaveLength(1);
    expect(new Set(created.map(({ body }) => body.id)).size).toBe(1);
    for (const { status, body } of answers.filter(({ status }) => status !== 201))
      expect({ status, body }).toMatchObject({ status: 409, body: { code: "idempotency_in_flight" } });
    expect(await countOf(person)).toBe(1);
  });

  test("that met a refusal is free: nothing was done", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    const key = randomUUID();
    const stale = { headers: { "Idempotency-Key": key, "If-Match": '"2"' } };
    expect((await person.http.patch(`/tasks/${id}`, { title: "B" }, stale)).status).toBe(412);
    await person.http.patch(`/tasks/${id}`, { title: "A" });
    expect((await person.http.patch(`/tasks/${id}`, { title: "B" }, stale)).status).toBe(200);
  });

  test("is good for a day", async () => {
    const person = await buildPerson(system);
    const key = randomUUID();
    const once = () => person.http.post<Task>("/tasks", { title: "Daily" }, withKey(key));
    const age = (hours: number) =>
      query(
        system.databaseUrl,
        "UPDATE tasks.answers SET created_at = now() - $2 * interval '1 hour' WHERE user_id = $1",
        [person.user.id, hours],
      );
    await once();
    await age(23);
    expect(replayed(await once())).toBe("true");
    await age(25);
    expect(replayed(await once())).toBeNull();
    expect(await countOf(person)).toBe(2);
    expect(replayed(await once())).toBe("true");
  });

  test.each([" ", "", "a b", "ключ", "x".repeat(256)])("is refused when it is %p", async (key) => {
    const { http } = await buildPerson(system);
    const sent = key === "ключ" ? Buffer.from(key).toString("latin1") : key;
    const answer = await http.post("/tasks", { title: "A" }, withKey(sent));
    expect(answer).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });
});
