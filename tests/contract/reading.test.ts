import type { Explanation } from "../../services/tasks/explain.schema.ts";
import type { TaskPage } from "../../services/tasks/list.schema.ts";
import type { Stats } from "../../services/tasks/stats.schema.ts";
import type { Task } from "../../services/tasks/task.schema.ts";
import { type Answer, buildPerson, buildTask, type Person } from "../support/client.ts";
import { systems } from "../support/systems.ts";

const DAY_MS = 86_400_000;

describe.each(systems)("reading tasks, %s", (_mode, system) => {
  const list = async (person: Person, query: Record<string, string>): Promise<TaskPage> => {
    const search = String(new URLSearchParams(query));
    const { status, body } = await person.http.get<TaskPage>(`/tasks?${search}`);
    if (status !== 200) throw new Error(`GET /tasks?${search}: ${status} ${JSON.stringify(body)}`);
    return body;
  };
  const titles = async (person: Person, query: Record<string, string>): Promise<string[]> =>
    (await list(person, query)).items.map(({ title }) => title);

  describe("a search", () => {
    test("finds words with other endings and parts of words, in English, Russian and any other language", async () => {
      const person = await buildPerson(system);
      for (const title of ["Buy milk", "Купить молоко", "Новая задача", "购买牛奶"])
        await buildTask(person, { title });
      for (const [q, found] of [
        ["milks", "Buy milk"],
        ["ILK", "Buy milk"],
        ["задачи", "Новая задача"],
        ["лок", "Купить молоко"],
        ["牛奶", "购买牛奶"],
        ["buy milk", "Buy milk"],
      ] as const) {
        expect([q, await titles(person, { q })]).toEqual([q, [found]]);
      }
      expect(await titles(person, { q: "milk молоко" })).toEqual([]);
    });

    test("puts titles before tags before descriptions, on pages of one", async () => {
      const person = await buildPerson(system);
      await buildTask(person, { title: "Oat milk" });
      await buildTask(person, { title: "a tag", tags: ["milk"] });
      await buildTask(person, { title: "a description", description: "some milk" });
      await buildTask(person, { title: "Bread" });
      const walked: string[] = [];
      let next: string | undefined = "/tasks?q=milk?&limit=1";
      while (next) {
        const answer: Answer<TaskPage> = await person.http.get<TaskPage>(next);
        walked.push(...answer.body.items.map(({ title }) => title));
        next = /^<([^>]+)>; rel="next"$/.exec(answer.headers.get("link") ?? "")?.[1];
      }
      expect(walked).toEqual(["Oat milk", "a tag", "a description"]);
    });

    test("follows every change at once", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person, { title: "milk" });
      await person.http.patch(`/tasks/${id}`, { title: "bread" });
      expect([await titles(person, { q: "milk" }), await titles(person, { q: "bread" })]).toEqual([
        [],
        ["bread"],
      ]);
      await person.http.delete(`/tasks/${id}`);
      expect(await titles(person, { q: "bread" })).toEqual([]);
    });

    test("takes wildcards, quotes and operators for text", async () => {
      const person = await buildPerson(system);
      await buildTask(person, { title: "100% milk" });
      for (const q of ["%", "_", "&", "|", "!", ":*", "'", "\\", "' OR 1=1 --", "mi%lq", "milk & !oat"]) {
        expect([q, await titles(person, { q })]).toEqual([q, []]);
      }
      for (const q of ["milk'", "milk:*", "(milk", "100% | milk", "!milk", "\\milk"]) {
        expect([q, await titles(person, { q })]).toEqual([q, ["100% milk"]]);
      }
    });

    test("finds nothing of anybody else's, and takes no cursor of theirs", async () => {
      const [ada, ben] = await Promise.all([buildPerson(system), buildPerson(system)]);
      await buildTask(ada, { title: "milk" });
      await buildTask(ada, { title: "milk too" });
      expect(await list(ben, { q: "milk", count: "true" })).toEqual({
        items: [],
        nextCursor: null,
        total: 0,
      });
      const { nextCursor } = await list(ada, { q: "milk", limit: "1" });
      const answer = await ben.http.get(`/tasks?q=milk&limit=1&cursor=${nextCursor}`);
      expect(answer).toMatchObject({ status: 400, body: { code: "invalid_cursor" } });
      expect((await ada.http.get(`/tasks?q=mil&limit=1&cursor=${nextCursor}`)).status).toBe(400);
    });
  });

  describe("fields", () => {
    test("leave out all others but the id and the version, in a list and of one task", async () => {
      const person = await buildPerson(system);
      const { id } = await buildTask(person, { title: "a", due: "2026-12-01", description: "long" });
      expect(await list(person, { fields: "title,due" })).toEqual({
        items: [{ id, version: 1, title: "a", due: "2026-12-01" }],
        nextCursor: null,
      });
      expect((await person.http.get(`/tasks/${id}?fields=status`)).body).toEqual({
        id,
        version: 1,
        status: "open",
      });
      const least = await person.http.get(`/tasks/${id}?fields=id`);
      expect([least.body, least.headers.get("etag")]).toEqual([{ id, version: 1 }, '"1"']);
    });

    test("do not change what a cursor is for", async () => {
      const person = await buildPerson(system);
      for (const title of ["a", "b"]) await buildTask(person, { title });
      const { nextCursor } = await list(person, { limit: "1", fields: "id" });
      const rest = await list(person, {
        cursor: String(nextCursor),
        fields: "title",
        count: "true",
        explain: "true",
      });
      expect(rest).toMatchObject({ items: [{ title: "a" }], total: 2, nextCursor: null });
    });

    test("of another person's task are not there", async () => {
      const [ada, ben] = await Promise.all([buildPerson(system), buildPerson(system)]);
      const { id } = await buildTask(ada);
      expect((await ben.http.get(`/tasks/${id}?fields=id`)).status).toBe(404);
    });
  });

  test("count gives the number of tasks on all pages of this filter, and only when asked", async () => {
    const person = await buildPerson(system);
    for (const title of ["a", "b", "c"]) await buildTask(person, { title, tags: ["x"] });
    await buildTask(person, { title: "d" });
    const first = await list(person, { tag: "x", limit: "1", count: "true" });
    expect(first).toMatchObject({ total: 3, items: [{ title: "c" }] });
    expect(
      await list(person, { tag: "x", limit: "1", count: "true", cursor: String(first.nextCursor) }),
    ).toMatchObject({ total: 3, items: [{ title: "b" }] });
    expect(await list(person, { tag: "nowhere", count: "true" })).toEqual({
      items: [],
      nextCursor: null,
      total: 0,
    });
    expect(await list(person, { count: "false" })).not.toHaveProperty("total");
  });

  describe("explain", () => {
    test("says how filter, sort and text were read, also when nothing is found", async () => {
      const person = await buildPerson(system);
      await person.http.patch("/auth/me", { timeZone: "Europe/Berlin" });
      const query =
        "status=open&priority=high,urgent&tag=home&dueFrom=2026-03-29&dueTo=2026-03-30&q=Mílk!%20молоко";
      const { body } = await person.http.get<TaskPage & { explain: Explanation }>(
        `/tasks?${query}&explain=true`,
      );
      expect(body).toEqual({
        items: [],
        nextCursor: null,
        explain: {
          timeZone: "Europe/Berlin",
          now: expect.stringMatching(/Z$/),
          filter: {
            status: ["open"],
            priority: ["high", "urgent"],
            tag: ["home"],
            q: "Mílk! молоко",
            dueFrom: "2026-03-28T23:00:00.000Z",
            dueTo: "2026-03-29T22:00:00.000Z",
          },
          sort: ["-relevance", "-createdAt", "-id"],
          search: { words: ["milk", "молоко"] },
        },
      });
    });

    test("says what overdue, today and this week mean at this moment", async () => {
      const person = await buildPerson(system);
      const explained = async (due: string) =>
        (await list(person, { due, sort: "due,-title", explain: "true" })).explain;
      const now = new Date();
      const midnight = (days: number) =>
        new Date(Date.parse(now.toISOString().slice(0, 10)) + days * DAY_MS).toISOString();
      expect(await explained("week")).toMatchObject({
        timeZone: "UTC",
        filter: { due: { is: "week", from: midnight(0), to: midnight(7) } },
        sort: ["due", "-title", "-id"],
      });
      expect(await explained("overdue")).toMatchObject({
        filter: { due: { is: "overdue", allDayBefore: midnight(0), status: ["open", "in_progress"] } },
      });
      expect(await explained("none")).toMatchObject({ filter: { due: { is: "none" } } });
      expect((await list(person, { explain: "true" })).explain).toMatchObject({
        filter: {},
        sort: ["-createdAt", "-id"],
      });
    });
  });

  test("no range finds a task without the time it asks for", async () => {
    const person = await buildPerson(system);
    await buildTask(person, { title: "never due, not done" });
    for (const query of [
      "dueFrom=0001-01-01",
      "dueTo=9999-12-31",
      "completedFrom=0001-01-01",
      "completedTo=9999-12-31",
    ]) {
      for (const sort of ["due", "-due", "title"]) {
        expect((await person.http.get(`/tasks?${query}&sort=${sort}`)).body).toMatchObject({ items: [] });
      }
    }
    for (const sort of ["due", "-due", "title"]) {
      expect(await titles(person, { due: "none", sort })).toHaveLength(1);
      expect(await titles(person, { due: "any", sort })).toHaveLength(0);
    }
  });

  test.each([
    ["q=", "q", "too_short"],
    [`q=${"x".repeat(201)}`, "q", "too_long"],
    ["q=%00", "q", "invalid_format"],
    ["fields=", "fields", "too_few"],
    ["fields=title,title", "fields", "duplicate"],
    ["fields=titel", "fields", "not_one_of"],
    ["count=yes", "count", "wrong_type"],
    ["explain=1", "explain", "wrong_type"],
    ["query=milk", "query", "unknown_parameter"],
    ["feilds=title", "feilds", "unknown_parameter"],
    ["total=true", "total", "unknown_parameter"],
    ["sort=relevance", "sort", "not_one_of"],
    ["dueFrom=2026-12-02&dueTo=2026-12-01", "dueTo", "empty_range"],
    ["dueFrom=2026-12-01&dueTo=2026-12-01", "dueTo", "empty_range"],
    ["createdFrom=2026-12-01T10:00:00Z&createdTo=2026-12-01T09:00:00Z", "createdTo", "empty_range"],
    ["completedFrom=2026-12-01&completedTo=2026-11-30T00:00:00Z", "completedTo", "empty_range"],
  ])("refuses %s", async (search, parameter, code) => {
    const { http } = await buildPerson(system);
    const { status, body } = await http.get(`/tasks?${search}`);
    expect({ status, body }).toMatchObject({
      status: 422,
      body: { code: "validation_failed", errors: [expect.objectContaining({ parameter, code })] },
    });
  });

  test("has a hint for a misspelt parameter", async () => {
    const { http } = await buildPerson(system);
    const { body } = await http.get("/tasks?explian=true");
    expect(body).toMatchObject({ errors: [{ detail: expect.stringContaining('did you mean "explain"?') }] });
  });

  test("names every range that is empty, and refuses what one task doesn't have", async () => {
    const { http } = await buildPerson(system);
    const { body } = await http.get(
      "/tasks?dueFrom=2026-12-02&dueTo=2026-12-01&updatedFrom=2026-12-02&updatedTo=2026-12-01",
    );
    expect(body).toMatchObject({ errors: [{ parameter: "dueTo" }, { parameter: "updatedTo" }] });
    const id = "01a20414-20d2-704d-a37f-36b70affce42";
    for (const [search, parameter] of [
      ["q=a", "q"],
      ["count=true", "count"],
      [`id=${id}`, "id"],
      ["fields=all", "fields"],
    ] as const) {
      const answer = await http.get(`/tasks/${id}?${search}`);
      expect(answer).toMatchObject({ status: 422, body: { errors: [{ parameter }] } });
    }
  });

  describe("statistics", () => {
    const NOTHING: Omit<Stats, "completedPerDay"> = {
      byStatus: { open: 0, in_progress: 0, done: 0, cancelled: 0 },
      byPriority: { none: 0, low: 0, medium: 0, high: 0, urgent: 0 },
      overdue: 0,
      dueToday: 0,
    };

    test("of an empty account are thirty days of nothing", async () => {
      const { http } = await buildPerson(system);
      const { status, body } = await http.get<Stats>("/stats");
      expect({ status, body }).toMatchObject({ status: 200, body: NOTHING });
      const today = new Date().toISOString().slice(0, 10);
      expect(body.completedPerDay).toEqual(
        Array.from({ length: 30 }, (_, index) => ({
          date: new Date(Date.parse(today) - (29 - index) * DAY_MS).toISOString().slice(0, 10),
          count: 0,
        })),
      );
    });

    test("count a person's own tasks and nobody else's", async () => {
      const [ada, ben] = await Promise.all([buildPerson(system), buildPerson(system)]);
      await buildTask(ada, { status: "done", priority: "high" });
      await buildTask(ada, { status: "in_progress", due: "2020-01-01" });
      const { id } = await buildTask(ada, { due: new Date().toISOString().slice(0, 10) });
      await buildTask(ada);
      await ada.http.patch<Task>(`/tasks/${id}`, { priority: "urgent" });
      const { body } = await ada.http.get<Stats>("/stats");
      expect(body).toMatchObject({
        byStatus: { open: 2, in_progress: 1, done: 1, cancelled: 0 },
        byPriority: { none: 2, low: 0, medium: 0, high: 1, urgent: 1 },
        overdue: 1,
        dueToday: 1,
      });
      expect(body.completedPerDay.map(({ count }) => count)).toEqual([...Array(29).fill(0), 1]);
      expect((await ben.http.get("/stats")).body).toMatchObject(NOTHING);
    });

    test("take no parameters, and follow the person's time zone", async () => {
      const { http } = await buildPerson(system);
      expect((await http.get("/stats?days=7")).status).toBe(422);
      await http.patch("/auth/me", { timeZone: "Pacific/Kiritimati" });
      const { body } = await http.get<Stats>("/stats");
      const there = new Date(Date.now() + 14 * 3_600_000).toISOString().slice(0, 10);
      expect(body.completedPerDay.at(-1)?.date).toBe(there);
    });
  });
});
