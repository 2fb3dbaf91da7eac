import type { Change, Changes } from "../../services/tasks/changes.schema.ts";
import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask, type Person } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

describe.each(systems)("sync, %s", (_mode, system) => {
  const read = async ({ http }: Person, search = "") => (await http.get<Changes>(`/changes${search}`)).body;
  /** Pages from there to the end. */
  async function readAll(
    person: Person,
    { since, limit }: { since?: unknown; limit: number },
  ): Promise<Change[][]> {
    const pages: Change[][] = [];
    let from = since;
    for (;;) {
      const search = from === undefined ? "" : `&since=${encodeURIComponent(String(from))}`;
      const { changes, nextSince, hasMore } = await read(person, `?limit=${limit}${search}`);
      pages.push(changes);
      from = nextSince;
      if (!hasMore) return pages;
    }
  }

  test("of somebody new is empty, and begins at nought", async () => {
    const person = await buildPerson(system);
    const nothing = { changes: [], nextSince: 0, hasMore: false };
    expect(await read(person)).toEqual(nothing);
    expect(await read(person, "?since=0")).toEqual(nothing);
  });

  test("gives every change once, in order, without gaps, with the task as it was then", async () => {
    const person = await buildPerson(system);
    const created = await buildTask(person, { title: "A" });
    const path = `/tasks/${created.id}`;
    const updated = (await person.http.patch<Task>(path, { title: "B" })).body;
    await person.http.patch(path, { title: "B" });
    await person.http.delete(path);
    const restored = (await person.http.post<Task>(`/trash/${created.id}/restore`)).body;
    const { changes, nextSince, hasMore } = await read(person, "?since=0");
    expect(changes).toEqual([
      { seq: 1, op: "create", taskId: created.id, version: 1, at: created.updatedAt, task: created },
      { seq: 2, op: "update", taskId: created.id, version: 2, at: updated.updatedAt, task: updated },
      { seq: 3, op: "delete", taskId: created.id, version: 3, at: expect.any(String), task: null },
      { seq: 4, op: "restore", taskId: created.id, version: 4, at: restored.updatedAt, task: restored },
    ]);
    expect({ nextSince, hasMore }).toEqual({ nextSince: 4, hasMore: false });
    expect(await read(person, "?since=4")).toEqual({ changes: [], nextSince: 4, hasMore: false });
    const pages = await readAll(person, { since: 0, limit: 3 });
    expect(pages.map((page) => page.map(({ seq }) => seq))).toEqual([[1, 2, 3], [4]]);
  });

  test("begins with everything there is, in pages that can be resumed, and goes on with what came meanwhile", async () => {
    const person = await buildPerson(system);
    const tasks: Task[] = [];
    for (const title of ["1", "2", "3", "4", "5"]) tasks.push(await buildTask(person, { title }));
    const [one, two, three] = tasks;
    await person.http.delete(`/tasks/${one?.id}`);

    const first = await read(person, "?limit=2");
    expect(first.changes.map(({ task }) => task?.title)).toEqual(["2", "3"]);
    expect(first.hasMore).toBe(true);
    await person.http.patch(`/tasks/${two?.id}`, { title: "2, changed" });
    await person.http.patch(`/tasks/${tasks[4]?.id}`, { title: "5, changed" });
    await person.http.delete(`/tasks/${three?.id}`);
    const rest = await readAll(person, { since: first.nextSince, limit: 2 });
    expect(rest.flat().map(({ seq, op, task }) => [seq, op, task?.title])).toEqual([
      [4, "create", "4"],
      [7, "update", "2, changed"],
      [8, "update", "5, changed"],
      [9, "delete", undefined],
    ]);
    // Asked again, for the client lost the answer.
    expect(await readAll(person, { since: first.nextSince, limit: 2 })).toEqual(rest);
  });

  test("tells that a task was erased, and what it was no more", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person, { title: "Secret" });
    await person.http.delete(`/tasks/${id}`);
    await person.http.delete(`/trash/${id}`);
    const { changes } = await read(person, "?since=0");
    expect(changes.map(({ seq, op, task }) => [seq, op, task])).toEqual([
      [1, "create", null],
      [2, "delete", null],
      [3, "erase", null],
    ]);
  });

  test("from too long ago, or from another database, says to start over", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    for (const title of ["B", "C"]) await person.http.patch(`/tasks/${id}`, { title });
    await query(system.databaseUrl, "UPDATE tasks.change_heads SET compacted_to = 2 WHERE user_id = $1", [
      person.user.id,
    ]);
    for (const since of ["1", "4", "999999"]) {
      expect(await person.http.get(`/changes?since=${since}`)).toMatchObject({
        status: 410,
        body: { code: "since_expired" },
      });
    }
    // Who had nothing yet misses nothing, and who is past it neither.
    expect((await read(person, "?since=2")).changes).toHaveLength(1);
    expect((await person.http.get("/changes?since=0")).status).toBe(200);
    expect((await read(person)).changes).toHaveLength(1);
  });

  test.each(["-1", "1.5", "abc", "snapshot", "snapshot:1:x", `snapshot:1:${"-".repeat(36)}`, ""])(
    "refuses since=%p",
    async (since) => {
      const { http } = await buildPerson(system);
      const answer = await http.get(`/changes?since=${since}`);
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ parameter: "since" }] } });
    },
  );

  test("shows nothing of another person's, whatever place it is asked from", async () => {
    const [owner, other] = await Promise.all([buildPerson(system), buildPerson(system)]);
    for (const title of ["1", "2", "3"]) await buildTask(owner, { title });
    const { nextSince } = await read(owner, "?limit=1");
    expect(
      (await other.http.get<Changes>(`/changes?since=${encodeURIComponent(nextSince)}`)).body.changes,
    ).toEqual([]);
    expect((await read(other)).changes).toEqual([]);
  });
});
