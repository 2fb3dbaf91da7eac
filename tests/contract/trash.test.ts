import type { Task } from "../../services/tasks/task.schema.ts";
import type { TrashPage } from "../../services/tasks/trash.schema.ts";
import { buildPerson, buildTask, type Person } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

describe.each(systems)("the trash, %s", (_mode, system) => {
  const trash = async ({ http }: Person, search = "") => (await http.get<TrashPage>(`/trash${search}`)).body;
  async function buildTrashed(person: Person, fields: Record<string, unknown> = {}): Promise<Task> {
    const task = await buildTask(person, fields);
    await person.http.delete(`/tasks/${task.id}`);
    return task;
  }

  test("has what was deleted, the last first, and lists have it no more", async () => {
    const person = await buildPerson(system);
    const first = await buildTrashed(person, { title: "First", tags: ["a"], due: "2026-12-01" });
    const second = await buildTrashed(person, { title: "Second" });
    const { items } = await trash(person);
    expect(items.map(({ title }) => title)).toEqual(["Second", "First"]);
    const { deletedAt, updatedAt, ...rest } = items[1] ?? {};
    expect(deletedAt).toBe(updatedAt);
    expect({ ...rest, updatedAt: first.updatedAt, version: 1 }).toEqual(first);
    expect(items[1]?.version).toBe(2);
    expect((await person.http.get("/tasks")).body).toMatchObject({ items: [] });
    expect((await person.http.get(`/tasks/${second.id}`)).status).toBe(404);
    expect((await person.http.patch(`/tasks/${second.id}`, { title: "x" })).status).toBe(404);
    expect((await person.http.delete(`/tasks/${second.id}`)).status).toBe(404);
  });

  test("comes in pages that neither skip nor repeat", async () => {
    const person = await buildPerson(system);
    for (let index = 0; index < 5; index += 1) await buildTrashed(person, { title: String(index) });
    const found: string[] = [];
    let search = "?limit=2";
    for (;;) {
      const { items, nextCursor } = await trash(person, search);
      found.push(...items.map(({ title }) => title));
      if (nextCursor === null) break;
      search = `?limit=2&cursor=${nextCursor}`;
      await buildTrashed(person, { title: "meanwhile" });
    }
    expect(found).toEqual(["4", "3", "2", "1", "0"]);
    expect((await person.http.get("/trash?cursor=AAAA")).body).toMatchObject({ code: "invalid_cursor" });
  });

  test("gives back what is restored, as it was", async () => {
    const person = await buildPerson(system);
    const task = await buildTrashed(person, { status: "done", due: "2026-12-01", priority: "high" });
    const { status, body } = await person.http.post<Task>(`/trash/${task.id}/restore`);
    expect(status).toBe(200);
    expect(body).toEqual({ ...task, version: 3, updatedAt: body.updatedAt });
    expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(body);
    expect((await trash(person)).items).toEqual([]);
    expect((await person.http.post(`/trash/${task.id}/restore`)).status).toBe(404);
  });

  test("erases for good, with the history, what is erased", async () => {
    const person = await buildPerson(system);
    const task = await buildTrashed(person, { title: "Secret plan" });
    expect((await person.http.delete(`/trash/${task.id}`)).status).toBe(204);
    for (const path of [`/tasks/${task.id}`, `/tasks/${task.id}/history`])
      expect((await person.http.get(path)).status).toBe(404);
    expect((await person.http.post(`/trash/${task.id}/restore`)).status).toBe(404);
    expect((await person.http.post(`/tasks/${task.id}/revert`, { version: 1 })).status).toBe(404);
    expect((await person.http.delete(`/trash/${task.id}`)).status).toBe(404);
    const left = await query(
      system.databaseUrl,
      "SELECT c::text AS row FROM tasks.task_changes c WHERE user_id = $1",
      [person.user.id],
    );
    expect(JSON.stringify(left)).not.toContain("Secret plan");
  });

  test("takes only what is in it: a task that was not deleted can't be erased", async () => {
    const person = await buildPerson(system);
    const task = await buildTask(person);
    expect((await person.http.delete(`/trash/${task.id}`)).status).toBe(404);
    expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(task);
  });

  test("is emptied at once, of one's own and nothing else", async () => {
    const [ada, bob] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const kept = await buildTask(ada);
    await Promise.all([buildTrashed(ada), buildTrashed(ada), buildTrashed(bob)]);
    expect((await ada.http.delete("/trash")).status).toBe(204);
    expect((await ada.http.delete("/trash")).status).toBe(204);
    expect((await trash(ada)).items).toEqual([]);
    expect((await trash(bob)).items).toHaveLength(1);
    expect((await ada.http.get(`/tasks/${kept.id}`)).body).toEqual(kept);
  });

  test("of another person shows nothing and lets nothing be done", async () => {
    const [owner, other] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const task = await buildTrashed(owner);
    expect((await trash(other)).items).toEqual([]);
    expect((await other.http.post(`/trash/${task.id}/restore`)).status).toBe(404);
    expect((await other.http.delete(`/trash/${task.id}`)).status).toBe(404);
    expect((await trash(owner)).items).toHaveLength(1);
  });
});
