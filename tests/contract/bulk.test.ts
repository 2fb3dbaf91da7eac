import { setTimeout as delay } from "node:timers/promises";
import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask, type Person } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

interface Results {
  results: { status: number; task?: Task; problem?: Record<string, unknown> }[];
}

describe.each(systems)("a bulk, %s", (_mode, system) => {
  const bulk = (person: Person, operations: unknown[], options: object = {}) =>
    person.http.post<Results>("/tasks/bulk", { operations, ...options });
  const all = async ({ http }: Person) => (await http.get<{ items: Task[] }>("/tasks?limit=100")).body.items;

  test("creates, changes and deletes, with each result in its place", async () => {
    const person = await buildPerson(system);
    const [one, two] = [await buildTask(person, { title: "1" }), await buildTask(person, { title: "2" })];
    const { status, body } = await bulk(person, [
      { op: "create", task: { title: " New ", due: "2026-12-01" } },
      { op: "delete", id: two.id },
      { op: "update", id: one.id, version: 1, task: { status: "done" } },
      { op: "create", task: { title: "Newer" } },
    ]);
    expect(status).toBe(200);
    expect(body.results.map((each) => each.status)).toEqual([201, 204, 200, 201]);
    expect(body.results.map(({ task }) => task?.title)).toEqual(["New", undefined, "1", "Newer"]);
    expect(body.results[2]?.task).toMatchObject({ version: 2, status: "done" });
    const titles = (await all(person)).map(({ title }) => title);
    expect(titles.toSorted()).toEqual(["1", "New", "Newer"]);
    for (const { task } of body.results)
      if (task) expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(task);
  });

  test("takes no version that there can't be, and no text for a number or a truth", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    const update = (version: unknown) => [{ op: "update", id, version, task: { title: "x" } }];
    for (const version of [2 ** 31, "1"]) {
      const operations = [...update(version), { op: "create", task: { title: "y" } }];
      const { body } = await bulk(person, operations, { atomic: false });
      expect(body.results.map(({ status }) => status)).toEqual([422, 201]);
    }
    expect((await bulk(person, update(1), { dryRun: "true" })).status).toBe(422);
    expect((await person.http.get(`/tasks/${id}`)).body).toMatchObject({ version: 1 });
  });

  test("of long texts is done in time: what there was no time to read is found soon after", async () => {
    const person = await buildPerson(system);
    // 150,000 characters, no two words of them alike.
    const wordOf = (task: number, n: number): string => `${(task * 300 + n).toString(36)}z`.padStart(9, "q");
    const description = (task: number) => Array.from({ length: 300 }, (_, n) => wordOf(task, n)).join(" ");
    const operations = Array.from({ length: 50 }, (_, n) => ({
      op: "create",
      task: { title: `Page no${n}xx`, description: description(n) },
    }));
    const { body } = await bulk(person, operations);
    expect(new Set(body.results.map(({ status }) => status))).toEqual(new Set([201]));
    const found = async (q: string) =>
      (await person.http.get<{ items: Task[] }>(`/tasks?q=${q}`)).body.items.map(({ title }) => title);
    // By their titles at once.
    expect([await found("no0xx"), await found("no49xx")]).toEqual([["Page no0xx"], ["Page no49xx"]]);
    for (const task of [0, 49]) {
      while ((await found(wordOf(task, 299))).length === 0) await delay(100);
      expect(await found(wordOf(task, 299))).toEqual([`Page no${task}xx`]);
    }
  });

  test("of tasks too long for one answer is refused before anything is done", async () => {
    const person = await buildPerson(system);
    const rows = await query(
      system.databaseUrl,
      `INSERT INTO tasks.tasks
         (user_id, id, title, description, status, priority, tags, version, created_at, updated_at)
       SELECT $1, gen_random_uuid(), 'Long', repeat('—', 20000), 'open', 0, '{}', 1, now(), now()
         FROM generate_series(1, 300) RETURNING id`,
      [person.user.id],
    );
    const starts = rows.map(({ id }) => ({ op: "update", id, task: { status: "in_progress" } }));
    for (const atomic of [true, false]) {
      const { status, body } = await bulk(person, starts, { atomic });
      const { errors } = Object(body);
      expect([status, errors]).toMatchObject([422, [{ pointer: "/operations", code: "too_large" }]]);
    }
    const { body } = await person.http.get<{ items: Task[] }>("/tasks?limit=100&fields=status");
    expect(new Set(body.items.map(({ status, version }) => `${status} ${version}`))).toEqual(
      new Set(["open 1"]),
    );
    const half = await bulk(person, starts.slice(0, 100));
    expect(half.body.results.map(({ task }) => task?.version)).toEqual(Array.from({ length: 100 }, () => 2));
  });

  const mixed = (good: Task) => [
    { op: "update", id: good.id, task: { title: "Done" } },
    { op: "create", task: { title: "" } },
    { op: "update", id: "01a20414-20d2-704d-a37f-36b70affce42", task: { title: "x" } },
    { op: "delete", id: good.id },
    { op: "move", id: good.id },
    { op: "update", id: "no-uuid", task: {} },
    { op: "create", task: { title: "Created" } },
    "nothing",
  ];

  test("that is atomic does all or none, and says for each which it was", async () => {
    const person = await buildPerson(system);
    const good = await buildTask(person);
    const { status, body } = await bulk(person, mixed(good));
    expect(status).toBe(200);
    expect(body.results.map((each) => [each.status, each.problem?.code])).toEqual([
      [424, "not_applied"],
      [422, "validation_failed"],
      // It was not looked for: what could not be read was enough.
      [424, "not_applied"],
      [422, "validation_failed"],
      [422, "validation_failed"],
      [422, "validation_failed"],
      [424, "not_applied"],
      [422, "validation_failed"],
    ]);
    expect(await all(person)).toEqual([good]);

    const missing = await bulk(person, [mixed(good)[0], mixed(good)[2]]);
    expect(missing.body.results.map((each) => each.problem?.code)).toEqual(["not_applied", "not_found"]);
    expect(await all(person)).toEqual([good]);
  });

  test("that is not does what can be done, and each problem is a whole document", async () => {
    const person = await buildPerson(system);
    const good = await buildTask(person);
    const { body } = await bulk(person, mixed(good), { atomic: false });
    expect(body.results.map((each) => each.status)).toEqual([200, 422, 404, 422, 422, 422, 201, 422]);
    expect(body.results[1]?.problem).toEqual({
      type: "/docs/problems#validation_failed",
      title: "A value is not valid",
      status: 422,
      detail: expect.any(String),
      instance: "/tasks/bulk",
      code: "validation_failed",
      requestId: expect.any(String),
      errors: [{ pointer: "/operations/1/task/title", code: "too_short", detail: expect.any(String) }],
    });
    expect(body.results[3]?.problem).toMatchObject({
      errors: [{ pointer: "/operations/3/id", code: "duplicate" }],
    });
    expect((await all(person)).map(({ title }) => title).toSorted()).toEqual(["Created", "Done"]);
  });

  test("under a version that there is no more leaves the task alone, and says which there is", async () => {
    const person = await buildPerson(system);
    const { id } = await buildTask(person);
    await person.http.patch(`/tasks/${id}`, { title: "B" });
    const { body } = await bulk(person, [{ op: "delete", id, version: 1 }], { atomic: false });
    expect(body.results[0]).toMatchObject({
      status: 412,
      problem: { code: "precondition_failed", currentVersion: 2 },
    });
    expect((await person.http.get(`/tasks/${id}`)).status).toBe(200);
  });

  test("that is a dry run answers as if it were done, and does nothing", async () => {
    const person = await buildPerson(system);
    const task = await buildTask(person);
    const operations = [
      { op: "update", id: task.id, task: { title: "B" } },
      { op: "create", task: { title: "New" } },
    ];
    const { body } = await bulk(person, operations, { dryRun: true });
    expect(body.results).toMatchObject([
      { status: 200, task: { title: "B", version: 2 } },
      { status: 201, task: { title: "New" } },
    ]);
    expect(await all(person)).toEqual([task]);
    const log = await query(system.databaseUrl, "SELECT FROM tasks.task_changes WHERE user_id = $1", [
      person.user.id,
    ]);
    expect(log).toHaveLength(1);
  });

  test("of five hundred is done; of none, or one more, it is refused", async () => {
    const person = await buildPerson(system);
    const create = (count: number) =>
      Array.from({ length: count }, (_, index) => ({ op: "create", task: { title: String(index) } }));
    const { status, body } = await bulk(person, create(500));
    expect(status).toBe(200);
    expect(body.results.map(({ task }) => task?.title)).toEqual(create(500).map(({ task }) => task.title));
    expect((await bulk(person, create(501))).status).toBe(422);
    expect((await bulk(person, [])).status).toBe(422);
    expect((await bulk(person, create(1), { atomic: "yes", dryrun: true })).status).toBe(422);
    expect((await person.http.post("/tasks/bulk", {})).status).toBe(422);
    const rows = await query(
      system.databaseUrl,
      "SELECT seq::integer FROM tasks.task_changes WHERE user_id = $1 ORDER BY seq",
      [person.user.id],
    );
    expect(rows.map(({ seq }) => seq)).toEqual(Array.from({ length: 500 }, (_, index) => index + 1));
  });

  test("finds nothing of another person's", async () => {
    const [owner, other] = await Promise.all([buildPerson(system), buildPerson(system)]);
    const task = await buildTask(owner);
    const { body } = await bulk(
      other,
      [
        { op: "update", id: task.id, task: { title: "Mine" } },
        { op: "create", task: { title: "x", userId: owner.user.id } },
      ],
      { atomic: false },
    );
    expect(body.results.map((each) => each.problem?.code)).toEqual(["not_found", "validation_failed"]);
    const deletion = await bulk(other, [{ op: "delete", id: task.id }]);
    expect(deletion.body.results[0]?.status).toBe(404);
    expect((await owner.http.get(`/tasks/${task.id}`)).body).toEqual(task);
  });
});
