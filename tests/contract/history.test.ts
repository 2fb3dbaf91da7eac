import type { History } from "../../services/tasks/changes.schema.ts";
import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask, type Person } from "../support/client.ts";
import { systems } from "../support/systems.ts";

describe.each(systems)("history, %s", (_mode, system) => {
  const history = async ({ http }: Person, id: string, search = "") =>
    (await http.get<History>(`/tasks/${id}/history${search}`)).body;

  test("with a cursor is of tasks that there are, and of no other cursor", async () => {
    const [person, other] = [await buildPerson(system), await buildPerson(system)];
    const { id } = await buildTask(person);
    const read = async ({ http }: Person, cursor: string) =>
      (await http.get<{ code?: string }>(`/tasks/${id}/history?cursor=${cursor}`)).body.code;
    expect(await read(person, "1")).toBeUndefined();
    expect(await read(other, "1")).toBe("not_found");
    expect(await read(person, "zz")).toBe("invalid_cursor");
  });

  test("cannot be reverted to a version that there can't be", async () => {
    const person = await buildPerson(system);
    const path = `/tasks/${(await buildTask(person)).id}/revert`;
    for (const version of [2 ** 31, 99_999_999_999, " 1 "]) {
      expect((await person.http.post(path, { version })).status).toBe(422);
    }
  });

  test("has every version, the newest first, with what changed", async () => {
    const person = await buildPerson(system);
    const first = await buildTask(person, { title: "A", due: "2026-12-01" });
    const path = `/tasks/${first.id}`;
    const second = (await person.http.patch<Task>(path, { title: "B", status: "done" })).body;
    await person.http.patch(path, { title: "B" });
    const third = (await person.http.patch<Task>(path, { due: null, tags: ["x"], title: "B" })).body;
    await person.http.delete(path);
    const fifth = (await person.http.post<Task>(`/trash/${first.id}/restore`)).body;

    const { items, nextCursor } = await history(person, first.id);
    expect(nextCursor).toBeNull();
    expect(items.map(({ version, op, changed }) => ({ version, op, changed }))).toEqual([
      { version: 5, op: "restore", changed: [] },
      { version: 4, op: "delete", changed: [] },
      { version: 3, op: "update", changed: ["due", "tags"] },
      { version: 2, op: "update", changed: ["title", "status", "completedAt"] },
      { version: 1, op: "create", changed: [] },
    ]);
    expect([items[0]?.task, items[2]?.task, items[3]?.task, items[4]?.task]).toEqual([
      fifth,
      third,
      second,
      first,
    ]);
    for (const { at, task } of items) expect(at).toBe(task.updatedAt);
  });

  test("comes in pages", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person, { title: "1" });
    for (const title of ["2", "3", "4", "5"]) await person.http.patch(`/tasks/${id}`, { title });
    const found: [string, string[] | null][] = [];
    let search = "?limit=2";
    for (;;) {
      const { items, nextCursor } = await history(person, id, search);
      found.push(...items.map(({ task, changed }): [string, string[] | null] => [task.title, changed]));
      if (nextCursor === null) break;
      search = `?limit=2&cursor=${nextCursor}`;
    }
    expect(found).toEqual([
      ["5", ["title"]],
      ["4", ["title"]],
      ["3", ["title"]],
      ["2", ["title"]],
      ["1", []],
    ]);
  });

  test("brings an earlier version back as a new one, with everything it had", async () => {
    const person = await buildPerson(system);
    const first = await buildTask(person, {
      title: "A",
      description: "d",
      status: "done",
      priority: "high",
      due: "2026-12-01",
      tags: ["a"],
    });
    const path = `/tasks/${first.id}`;
    await person.http.patch(path, {
      title: "B",
      description: "",
      status: "open",
      priority: "none",
      due: "2027-01-01T10:00:00Z",
      tags: [],
    });
    const { status, body } = await person.http.post<Task>(`${path}/revert`, { version: 1 });
    expect(status).toBe(200);
    expect(body).toEqual({ ...first, version: 3, updatedAt: body.updatedAt });
    expect((await person.http.get(path)).body).toEqual(body);
    // Once more changes nothing, and counts as nothing.
    expect((await person.http.post<Task>(`${path}/revert`, { version: 1 })).body).toEqual(body);
  });

  test("undoes a deletion", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person, { title: "A" });
    await person.http.patch(`/tasks/${id}`, { title: "B" });
    await person.http.delete(`/tasks/${id}`);
    expect(await person.http.post(`/tasks/${id}/revert`, { version: 1 })).toMatchObject({
      status: 200,
      body: { title: "A", version: 4 },
    });
    expect((await history(person, id)).items[0]).toMatchObject({ op: "restore", changed: ["title"] });
  });

  test("has no version that never was", async () => {
    const person = await buildPerson(system);
    const task = await buildTask(person);
    expect(await person.http.post(`/tasks/${task.id}/revert`, { version: 2 })).toMatchObject({
      status: 422,
      body: { code: "validation_failed", errors: [{ pointer: "/version", code: "not_found" }] },
    });
    for (const body of [{}, { version: 0 }, { version: "x" }, { version: 1, title: "B" }])
      expect((await person.http.post(`/tasks/${task.id}/revert`, body)).status).toBe(422);
    expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(task);
  });

  test("of another person's task is not found", async () => {
    const [owner, other] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const task = await buildTask(owner);
    expect((await other.http.get(`/tasks/${task.id}/history`)).status).toBe(404);
    expect((await other.http.post(`/tasks/${task.id}/revert`, { version: 1 })).status).toBe(404);
  });
});
