import { setTimeout as delay } from "node:timers/promises";
import { Client } from "pg";
import type { TaskPage } from "../../services/tasks/list.schema.ts";
import type { Task } from "../../services/tasks/task.schema.ts";
import { buildPerson, buildTask, type Person } from "../support/client.ts";
import { query } from "../support/database.ts";
import { systems } from "../support/systems.ts";

const DAY_MS = 86_400_000;
const INSTANT = /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/;

describe.each(systems)("tasks, %s", (_mode, system) => {
  const titles = async (person: Person, search: string): Promise<string[]> => {
    const { status, body } = await person.http.get<TaskPage>(`/tasks?${search}`);
    if (status !== 200) throw new Error(`GET /tasks?${search}: ${status} ${JSON.stringify(body)}`);
    return body.items.map(({ title }) => title);
  };

  describe("creating", () => {
    test("needs a title only, and answers with the whole task and where it is", async () => {
      const { http, user } = await buildPerson(system);
      const { status, headers, body } = await http.post<Task>("/tasks", { title: "  Buy milk " });
      expect(status).toBe(201);
      expect(headers.get("location")).toBe(`/tasks/${body.id}`);
      expect(body).toEqual({
        id: expect.stringMatching(/^[0-9a-f-]{14}7[0-9a-f-]{21}$/),
        userId: user.id,
        title: "Buy milk",
        description: "",
        status: "open",
        priority: "none",
        due: null,
        tags: [],
        completedAt: null,
        version: 1,
        createdAt: expect.stringMatching(INSTANT),
        updatedAt: body.createdAt,
      });
      expect((await http.get(`/tasks/${body.id}`)).body).toEqual(body);
    });

    test("goes on for others while one person's many writes wait for each other", async () => {
      const [busy, other] = [await buildPerson(system), await buildPerson(system)];
      await buildTask(busy);
      // More than there are connections to the database; each write holds the row that the others wait for.
      const holder = new Client({ connectionString: system.databaseUrl });
      await holder.connect();
      await holder.query("BEGIN");
      await holder.query("SELECT FROM tasks.change_heads WHERE user_id = $1 FOR UPDATE", [busy.user.id]);
      const waiting = Array.from({ length: 30 }, () => busy.http.post("/tasks", { title: "One of many" }));
      const heldUp = `SELECT FROM pg_stat_activity
                       WHERE datname = current_database() AND wait_event_type = 'Lock'`;
      while ((await query(system.databaseUrl, heldUp)).length < 2) await delay(20);
      for (let n = 0; n < 10; n += 1)
        expect((await other.http.post("/tasks", { title: "Mine" })).status).toBe(201);
      await holder.query("COMMIT");
      await holder.end();
      expect(new Set((await Promise.all(waiting)).map(({ status }) => status))).toEqual(new Set([201]));
    });

    test("takes every field, and text of any language and characters", async () => {
      const { http } = await buildPerson(system);
      const fields = {
        title: 'Купить "молоко" 🥛 %_\'; DROP TABLE tasks; --',
        description: "Ünïcode\n\ttabs & <b>tags</b>",
        status: "in_progress",
        priority: "urgent",
        due: "2026-12-01",
        tags: ["дом", "a,b", "100%"],
      };
      const { body } = await http.post<Task>("/tasks", fields);
      expect(body).toMatchObject(fields);
      expect((await http.get(`/tasks/${body.id}`)).body).toEqual(body);
    });

    test("gives back a date as the date and an instant in UTC", async () => {
      const person = await buildPerson(system);
      await person.http.patch("/auth/me", { timeZone: "Pacific/Auckland" });
      expect((await buildTask(person, { due: "2026-12-01" })).due).toBe("2026-12-01");
      expect((await buildTask(person, { due: "2026-12-01T09:00:00+03:00" })).due).toBe(
        "2026-12-01T06:00:00.000Z",
      );
      expect((await buildTask(person, { due: "2024-02-29t23:59:59.9999z" })).due).toBe(
        "2024-02-29T23:59:59.999Z",
      );
    });

    test("knows when it became done", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person, { status: "done" });
      expect(task.completedAt).toBe(task.createdAt);
    });

    test.each([
      ["no title", {}, "/title"],
      ["an empty title", { title: "   " }, "/title"],
      ["201 characters", { title: "x".repeat(201) }, "/title"],
      ["a title that is a number", { title: 5 }, "/title"],
      ["a title with NUL", { title: "a\u0000b" }, "/title"],
      ["a lone surrogate", { title: "\ud83d" }, "/title"],
      ["20,001 characters of description", { description: "x".repeat(20_001) }, "/description"],
      ["description null", { description: null }, "/description"],
      ["an unknown status", { status: "closed" }, "/status"],
      ["an unknown priority", { priority: "HIGH" }, "/priority"],
      ["a priority by number", { priority: 3 }, "/priority"],
      ["30 February", { due: "2026-02-30" }, "/due"],
      ["an instant without offset", { due: "2026-12-01T09:00:00" }, "/due"],
      ["a due time by number", { due: 1_796_000_000 }, "/due"],
      ["hour 25", { due: "2026-12-01T25:00:00Z" }, "/due"],
      ["21 tags", { tags: Array.from({ length: 21 }, (_, index) => `t${index}`) }, "/tags"],
      ["a tag of 51 characters", { tags: ["x".repeat(51)] }, "/tags/0"],
      ["the same tag twice", { tags: ["a", " a "] }, "/tags/1"],
      ["tags as text", { tags: "a,b" }, "/tags"],
      ["a version", { version: 5 }, "/version"],
      ["an id", { id: "01a20414-20d2-704d-a37f-36b70affce42" }, "/id"],
    ])("refuses %s", async (_, fields, pointer) => {
      const { http } = await buildPerson(system);
      const given =
        Object.hasOwn(fields, "title") || pointer === "/title" ? fields : { title: "x", ...fields };
      const { status, body } = await http.post("/tasks", given);
      expect({ status, body }).toMatchObject({
        status: 422,
        body: { code: "validation_failed", errors: [{ pointer }] },
      });
      expect((await http.get("/tasks")).body).toMatchObject({ items: [] });
    });

    test("counts characters, not UTF-16 units", async () => {
      const person = await buildPerson(system);
      expect((await buildTask(person, { title: "😀".repeat(200) })).title).toHaveLength(400);
    });
  });

  describe("changing", () => {
    test("changes what is sent and keeps what is not", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person, {
        description: "keep me",
        tags: ["a"],
        due: "2026-12-01",
        priority: "low",
      });
      const { status, body } = await person.http.patch<Task>(`/tasks/${task.id}`, { title: "New" });
      expect(status).toBe(200);
      expect(body).toEqual({ ...task, title: "New", version: 2, updatedAt: expect.stringMatching(INSTANT) });
      expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(body);
    });

    test("null clears the due time, and nothing else takes null", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person, { due: "2026-12-01" });
      expect((await person.http.patch<Task>(`/tasks/${task.id}`, { due: null })).body.due).toBeNull();
      for (const field of ["title", "description", "status", "priority", "tags"]) {
        const { status } = await person.http.patch(`/tasks/${task.id}`, { [field]: null });
        expect({ field, status }).toEqual({ field, status: 422 });
      }
    });

    test("a patch that is empty or changes nothing bumps nothing", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person, { due: "2026-12-01", tags: ["a"], description: "d" });
      for (const patch of [
        {},
        { title: task.title },
        { due: "2026-12-01", tags: ["a"], status: "open", description: "d" },
      ]) {
        expect((await person.http.patch(`/tasks/${task.id}`, patch)).body).toEqual(task);
      }
    });

    test("completedAt is set when it becomes done, kept while it is, and cleared when it leaves", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      const patch = async (fields: object) => (await person.http.patch<Task>(`/tasks/${id}`, fields)).body;
      const done = await patch({ status: "done" });
      expect(done.completedAt).toMatch(INSTANT);
      expect((await patch({ title: "Renamed", status: "done" })).completedAt).toBe(done.completedAt);
      expect((await patch({ status: "cancelled" })).completedAt).toBeNull();
      expect(Date.parse((await patch({ status: "done" })).completedAt ?? "")).toBeGreaterThan(
        Date.parse(done.completedAt ?? ""),
      );
    });

    test("takes a merge patch by its own media type", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      const headers = { "Content-Type": "application/merge-patch+json" };
      const { status, body } = await person.http.send("PATCH", `/tasks/${id}`, {
        headers,
        raw: '{"title":"New"}',
      });
      expect({ status, body }).toMatchObject({ status: 200, body: { title: "New" } });
    });

    test("refuses all of a patch when a part is wrong", async () => {
      const person = await buildPerson(system);
      const task = await buildTask(person);
      const answer = await person.http.patch(`/tasks/${task.id}`, {
        title: "New",
        priority: "hgih",
        stauts: "done",
      });
      expect(answer).toMatchObject({
        status: 422,
        body: {
          errors: [
            { pointer: "/priority", code: "not_one_of" },
            {
              pointer: "/stauts",
              code: "unknown_field",
              detail: expect.stringContaining('did you mean "status"?'),
            },
          ],
        },
      });
      expect(JSON.stringify(answer.body)).not.toContain("patch.");
      expect((await person.http.get(`/tasks/${task.id}`)).body).toEqual(task);
    });

    test("fifty patches of different fields at once lose none", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      const patches = [
        { title: "T" },
        { description: "D" },
        { priority: "high" },
        { due: "2026-12-01" },
        { tags: ["x"] },
      ];
      const answers = await Promise.all(patches.map((patch) => person.http.patch(`/tasks/${id}`, patch)));
      expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 200, 200]);
      const merged = Object.assign({}, ...patches);
      expect((await person.http.get(`/tasks/${id}`)).body).toMatchObject({ ...merged, version: 6 });
    });
  });

  describe("deleting", () => {
    test("answers once with nothing and then as if it had never been", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person);
      const deleted = await person.http.delete(`/tasks/${id}`);
      expect(deleted).toMatchObject({ status: 204, body: "" });
      expect((await person.http.get(`/tasks/${id}`)).status).toBe(404);
      expect((await person.http.patch(`/tasks/${id}`, { title: "x" })).status).toBe(404);
      expect((await person.http.delete(`/tasks/${id}`)).status).toBe(404);
      expect(await titles(person, "")).toEqual([]);
    });
  });

  describe("listing", () => {
    test("comes newest first, twenty at a time, with a link to the next page", async () => {
      const person = await buildPerson(system);
      for (let index = 0; index < 21; index++) await buildTask(person, { title: `t${index}` });
      const first = await person.http.get<TaskPage>("/tasks");
      expect(first.body.items.map(({ title }) => title)).toEqual(
        Array.from({ length: 20 }, (_, index) => `t${20 - index}`),
      );
      const link = /^<(\/tasks\?cursor=[^>]+)>; rel="next"$/.exec(first.headers.get("link") ?? "")?.[1] ?? "";
      expect(link).toContain(String(first.body.nextCursor));
      const second = await person.http.get<TaskPage>(link);
      expect(second.body).toMatchObject({ items: [{ title: "t0" }], nextCursor: null });
      expect(second.headers.get("link")).toBeNull();
    });

    test("filters by status, priority and tag: any of several, all kinds together", async () => {
      const person = await buildPerson(system);
      await buildTask(person, { title: "a", status: "open", priority: "high", tags: ["home"] });
      await buildTask(person, { title: "b", status: "in_progress", priority: "low", tags: ["work", "home"] });
      await buildTask(person, { title: "c", status: "done", priority: "high", tags: ["work"] });
      expect(await titles(person, "status=open,done&sort=title")).toEqual(["a", "c"]);
      expect(await titles(person, "priority=high&sort=title")).toEqual(["a", "c"]);
      expect(await titles(person, "tag=home&sort=title")).toEqual(["a", "b"]);
      expect(await titles(person, "tag=home,work&status=done,in_progress&priority=low")).toEqual(["b"]);
      expect(await titles(person, "tag=%25")).toEqual([]);
    });

    test("filters by ranges, from inclusive and to exclusive, by date or instant", async () => {
      const person = await buildPerson(system);
      await buildTask(person, { title: "30 Nov", due: "2026-11-30" });
      await buildTask(person, { title: "1 Dec", due: "2026-12-01" });
      await buildTask(person, { title: "1 Dec 09:00", due: "2026-12-01T09:00:00Z" });
      await buildTask(person, { title: "2 Dec", due: "2026-12-02" });
      await buildTask(person, { title: "never" });
      expect(await titles(person, "dueFrom=2026-12-01&dueTo=2026-12-02&sort=due")).toEqual([
        "1 Dec",
        "1 Dec 09:00",
      ]);
      expect(await titles(person, "dueFrom=2026-12-01T09:00:00Z&sort=due")).toEqual(["1 Dec 09:00", "2 Dec"]);
      expect(await titles(person, "dueTo=2026-12-01T09:00:00Z&sort=due")).toEqual(["30 Nov", "1 Dec"]);
      expect(await titles(person, "due=any&sort=due")).toHaveLength(4);
      expect(await titles(person, "due=none")).toEqual(["never"]);
    });

    test("filters by when tasks were created, changed and done", async () => {
      const person = await buildPerson(system);
      const one = await buildTask(person, { title: "one" });
      const two = await buildTask(person, { title: "two", status: "done" });
      const later = encodeURIComponent(new Date(Date.parse(two.createdAt) + 1).toISOString());
      expect(await titles(person, `createdFrom=${one.createdAt}&createdTo=${later}&sort=title`)).toEqual([
        "one",
        "two",
      ]);
      expect(await titles(person, `createdTo=${one.createdAt}`)).toEqual([]);
      expect(await titles(person, `completedFrom=${two.completedAt}`)).toEqual(["two"]);
      await person.http.patch(`/tasks/${one.id}`, { title: "one again" });
      expect(await titles(person, `updatedFrom=${later}`)).toEqual(["one again"]);
    });

    test("knows overdue, today and this week in the person's time zone", async () => {
      const person = await buildPerson(system);
      await person.http.patch("/auth/me", { timeZone: "Pacific/Kiritimati" });
      const today = new Date(Date.now() + 14 * 3_600_000);
      const day = (offset: number) => new Date(today.getTime() + offset * DAY_MS).toISOString().slice(0, 10);
      await buildTask(person, { title: "yesterday", due: day(-1) });
      await buildTask(person, { title: "yesterday, done", due: day(-1), status: "done" });
      await buildTask(person, { title: "today", due: day(0) });
      await buildTask(person, { title: "in six days", due: day(6) });
      await buildTask(person, { title: "in seven days", due: day(7) });
      await buildTask(person, { title: "an hour ago", due: new Date(Date.now() - 3_600_000).toISOString() });
      expect(await titles(person, "due=overdue&sort=title")).toEqual(["an hour ago", "yesterday"]);
      expect(await titles(person, "due=today")).toContain("today");
      expect(await titles(person, "due=today")).not.toContain("yesterday");
      expect(await titles(person, "due=week&sort=title")).toEqual(
        expect.arrayContaining(["in six days", "today"]),
      );
      expect(await titles(person, "due=week")).not.toContain("in seven days");
    });

    test("moves all-day tasks with the person to another time zone, and no others", async () => {
      const person = await buildPerson(system);
      const allDay = await buildTask(person, { title: "all day", due: "2026-12-01" });
      await buildTask(person, { title: "at ten", due: "2026-12-01T10:00:00Z" });
      expect(await titles(person, "sort=due")).toEqual(["all day", "at ten"]);
      await person.http.patch("/auth/me", { timeZone: "America/Los_Angeles" });
      await buildTask(person, { title: "at seven", due: "2026-12-01T07:00:00Z" });
      expect(await titles(person, "sort=due")).toEqual(["at seven", "all day", "at ten"]);
      expect(await titles(person, "dueFrom=2026-12-01&sort=due")).toEqual(["all day", "at ten"]);
      expect((await person.http.get(`/tasks/${allDay.id}`)).body).toEqual(allDay);
    });

    test("sorts by priority in its own order, by title without case, and puts no due time last both ways", async () => {
      const person = await buildPerson(system);
      await buildTask(person, { title: "beta", priority: "urgent", due: "2026-12-02" });
      await buildTask(person, { title: "Alpha", priority: "none" });
      await buildTask(person, { title: "вторник", priority: "medium", due: "2026-12-01" });
      await buildTask(person, { title: "Апрель", priority: "low" });
      expect(await titles(person, "sort=-priority")).toEqual(["beta", "вторник", "Апрель", "Alpha"]);
      expect(await titles(person, "sort=title")).toEqual(["Alpha", "beta", "Апрель", "вторник"]);
      expect(await titles(person, "sort=due,title")).toEqual(["вторник", "beta", "Alpha", "Апрель"]);
      expect(await titles(person, "sort=-due,title")).toEqual(["beta", "вторник", "Alpha", "Апрель"]);
    });

    test("pages of one task walk through every sort without repeating or skipping", async () => {
      const person = await buildPerson(system);
      for (const [title, due] of [
        ["a", "2026-12-01"],
        ["b", null],
        ["A", "2026-12-01"],
        ["c", null],
        ["b", "2026-12-03"],
      ]) {
        await buildTask(person, { title, due });
      }
      for (const sort of [
        "due,-title",
        "-due,title,-createdAt",
        "title,-due",
        "-updatedAt",
        "priority,due",
      ]) {
        const whole = (await person.http.get<TaskPage>(`/tasks?sort=${sort}`)).body.items;
        const walked: Task[] = [];
        let cursor: string | null = "";
        while (cursor !== null) {
          const search: string = cursor === "" ? "" : `&cursor=${cursor}`;
          const { body }: { body: TaskPage } = await person.http.get<TaskPage>(
            `/tasks?limit=1&sort=${sort}${search}`,
          );
          walked.push(...body.items);
          cursor = body.nextCursor;
        }
        expect(walked).toEqual(whole);
      }
    });

    test.each([
      ["limit=0", 422, "limit"],
      ["limit=101", 422, "limit"],
      ["limit=ten", 422, "limit"],
      ["limit=1.5", 422, "limit"],
      ["status=opne", 422, "status"],
      ["status=", 422, "status"],
      ["status=open,,done", 422, "status"],
      ["sort=name", 422, "sort"],
      ["sort=due,-due", 422, "sort"],
      ["sort=due,title,priority,createdAt", 422, "sort"],
      ["sort=id;DROP%20TABLE%20tasks", 422, "sort"],
      ["due=tomorrow", 422, "due"],
      ["dueFrom=yesterday", 422, "dueFrom"],
      ["createdTo=2026-13-01", 422, "createdTo"],
      ["prioritee=high", 422, "prioritee"],
      ["status[]=open", 422, "status[]"],
      ["tag=%00", 422, "tag"],
      ["offset=5", 422, "offset"],
    ])("refuses %s", async (search, expected, parameter) => {
      const { http } = await buildPerson(system);
      const { status, body } = await http.get(`/tasks?${search}`);
      expect({ status, body }).toMatchObject({
        status: expected,
        body: {
          code: "validation_failed",
          errors: expect.arrayContaining([expect.objectContaining({ parameter })]),
        },
      });
    });

    test.each([
      "limit=1&limit=2",
      "status=%",
      "status=%ff",
      "cursor=abc",
      "cursor=",
      "cursor=%27%20OR%201=1",
    ])("answers %s with 400 or 422", async (search) => {
      const { http } = await buildPerson(system);
      const { status } = await http.get(`/tasks?${search}`);
      expect([400, 422]).toContain(status);
    });

    test("a cursor belongs to its filter and its sort, and can't be altered", async () => {
      const person = await buildPerson(system);
      await Promise.all([buildTask(person), buildTask(person)]);
      const { body } = await person.http.get<TaskPage>("/tasks?limit=1");
      const cursor = body.nextCursor ?? "";
      const flipped = (cursor.startsWith("A") ? "B" : "A") + cursor.slice(1);
      for (const search of [
        `sort=title&cursor=${cursor}`,
        `status=open&cursor=${cursor}`,
        `cursor=${flipped}`,
      ]) {
        const answer = await person.http.get(`/tasks?limit=1&${search}`);
        expect(answer).toMatchObject({ status: 400, body: { code: "invalid_cursor" } });
      }
      expect((await person.http.get(`/tasks?limit=5&cursor=${cursor}`)).status).toBe(200);
    });
  });
});
