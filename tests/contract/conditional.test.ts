import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask } from "../support/client.ts";
import { systems } from "../support/systems.ts";

const ifMatch = (tag: string) => ({ headers: { "If-Match": tag } });
const ifNoneMatch = (tag: string) => ({ headers: { "If-None-Match": tag } });

describe.each(systems)("conditional requests, %s", (_mode, system) => {
  test("every answer with one task has its version as the ETag", async () => {
    const { http } = await buildPerson(system);
    const created = await http.post<Task>("/tasks", { title: "A" });
    const path = `/tasks/${created.body.id}`;
    expect(created.headers.get("etag")).toBe('"1"');
    expect((await http.get(path)).headers.get("etag")).toBe('"1"');
    expect((await http.send("HEAD", path)).headers.get("etag")).toBe('"1"');
    expect((await http.patch(path, { title: "B" })).headers.get("etag")).toBe('"2"');
    expect((await http.post(`${path}/revert`, { version: 1 })).headers.get("etag")).toBe('"3"');
    await http.delete(path);
    expect((await http.post(`/trash/${created.body.id}/restore`)).headers.get("etag")).toBe('"5"');
  });

  test("who has it already gets 304 without a body, and the new one after a change", async () => {
    const person = await buildPerson(system);
    const path = `/tasks/${(await buildTask(person)).id}`;
    for (const tag of ['"1"', 'W/"1"', '"7", "1"', '"1",', ', "a,b" ,"1"', "*"]) {
      const fresh = await person.http.get(path, ifNoneMatch(tag));
      expect([tag, fresh.status, fresh.body, fresh.headers.get("etag")]).toEqual([tag, 304, "", '"1"']);
    }
    await person.http.patch(path, { title: "B" });
    expect(await person.http.get(path, ifNoneMatch('"1"'))).toMatchObject({
      status: 200,
      body: { title: "B" },
    });
  });

  test("a write that expects another version does nothing, and says which there is", async () => {
    const person = await buildPerson(system);
    const task = await buildTask(person);
    const path = `/tasks/${task.id}`;
    await person.http.patch(path, { title: "B" });
    for (const send of [
      () => person.http.patch(path, { title: "C" }, ifMatch('"1"')),
      () => person.http.delete(path, undefined, ifMatch('"1"')),
      () => person.http.post(`${path}/revert`, { version: 1 }, ifMatch('"1"')),
      () => person.http.patch(path, { title: "C" }, ifMatch('"abc"')),
      () => person.http.patch(path, { title: "C" }, ifMatch('"02"')),
      () => person.http.patch(path, { title: "C" }, ifMatch('W/"2"')),
      () => person.http.patch(path, { title: "C" }, ifNoneMatch('"2"')),
      () => person.http.patch(path, { title: "C" }, ifNoneMatch('W/"2"')),
      () => person.http.patch(path, { title: "C" }, ifNoneMatch("*")),
    ]) {
      const { status, headers, body } = await send();
      expect({ status, body }).toMatchObject({
        status: 412,
        body: { code: "precondition_failed", currentVersion: 2 },
      });
      expect(headers.get("etag")).toBe('"2"');
    }
    expect((await person.http.get<Task>(path)).body).toMatchObject({ title: "B", version: 2 });
  });

  test("a write that expects this version is done", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    expect((await person.http.patch(`/tasks/${id}`, { title: "B" }, ifMatch('"1"'))).status).toBe(200);
    expect((await person.http.patch(`/tasks/${id}`, { title: "C" }, ifMatch('"9", "2"'))).status).toBe(200);
    expect((await person.http.patch(`/tasks/${id}`, { title: "D" }, ifMatch("*"))).status).toBe(200);
    expect((await person.http.patch(`/tasks/${id}`, { title: "E" }, ifNoneMatch('"1"'))).status).toBe(200);
    expect((await person.http.delete(`/tasks/${id}`, undefined, ifMatch('"5"'))).status).toBe(204);
    expect((await person.http.post(`/trash/${id}/restore`, undefined, ifMatch('"5"'))).status).toBe(412);
    expect((await person.http.post(`/trash/${id}/restore`, undefined, ifMatch('"6"'))).status).toBe(200);
    await person.http.delete(`/tasks/${id}`);
    expect((await person.http.delete(`/trash/${id}`, undefined, ifMatch('"7"'))).status).toBe(412);
    expect((await person.http.delete(`/trash/${id}`, undefined, ifMatch('"8"'))).status).toBe(204);
  });

  test("what is not there is not found, whatever version is expected", async () => {
    const [owner, other] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const { id } = await buildTask(owner);
    for (const condition of [ifMatch("*"), ifMatch('"1"'), ifMatch('"2"'), ifNoneMatch('"1"')]) {
      expect((await other.http.patch(`/tasks/${id}`, { title: "B" }, condition)).status).toBe(404);
    }
  });

  test.each(["3", '"3', "*, *", '"1" "2"', ""])("refuses If-Match: %p, which says nothing", async (tag) => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    const { status, body } = await person.http.patch(`/tasks/${id}`, { title: "B" }, ifMatch(tag));
    expect({ status, body }).toMatchObject({ status: 400, body: { code: "invalid_request" } });
  });

  test("conditions come from headers only", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    const revert = await person.http.post(`/tasks/${id}/revert`, { version: 1, ifMatch: [7] });
    expect(revert).toMatchObject({ status: 422, body: { errors: [{ pointer: "/ifMatch" }] } });
    expect((await person.http.delete(`/tasks/${id}?ifMatch=7`)).status).toBe(422);
  });

  test("a hundred increments at once, each by reading and writing under If-Match, lose none", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person, { description: "0" });
    const increment = async (): Promise<void> => {
      for (;;) {
        const { body, headers } = await person.http.get<Task>(`/tasks/${id}`);
        const description = String(Number(body.description) + 1);
        const tag = headers.get("etag") ?? "";
        const { status } = await person.http.patch(`/tasks/${id}`, { description }, ifMatch(tag));
        if (status === 200) return;
        if (status !== 412) throw new Error(`PATCH answered ${status}.`);
      }
    };
    // Four at a time: with more, nearly every try would be in vain.
    const lanes = Array.from({ length: 4 }, async () => {
      for (let turn = 0; turn < 25; turn += 1) await increment();
    });
    await Promise.all(lanes);
    expect((await person.http.get<Task>(`/tasks/${id}`)).body).toMatchObject({
      description: "100",
      version: 101,
    });
  });
});
