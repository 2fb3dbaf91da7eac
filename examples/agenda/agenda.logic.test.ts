import { type ListTasks, readAgenda } from "./agenda.logic.ts";
import type { Task } from "./agenda.schema.ts";

const buildTask = (id: string): Task => ({ id, title: `Task ${id}`, priority: "none", due: "2026-12-01" });

const listing =
  (lists: { overdue: Task[]; today: Task[] }): ListTasks =>
  async ({ due }) => ({ items: due === "overdue" || due === "today" ? lists[due] : [] });

test("overdue tasks and those of today are told apart", async () => {
  const lists = { overdue: [buildTask("a")], today: [buildTask("b")] };
  expect(await readAgenda(listing(lists))).toEqual(lists);
});

test("a task whose hour has passed today is overdue and nothing else", async () => {
  const agenda = await readAgenda(
    listing({ overdue: [buildTask("a")], today: [buildTask("a"), buildTask("b")] }),
  );
  expect(agenda).toEqual({ overdue: [buildTask("a")], today: [buildTask("b")] });
});

test("only unfinished tasks are asked for", async () => {
  const asked: unknown[] = [];
  await readAgenda(async (filter) => {
    asked.push(filter);
    return { items: [] };
  });
  expect(asked).toHaveLength(2);
  for (const filter of asked) expect(filter).toMatchObject({ status: ["open", "in_progress"] });
});

test("no more of a task is shown than its agenda says", async () => {
  const whole = { ...buildTask("a"), description: "private notes" };
  const agenda = await readAgenda(listing({ overdue: [whole], today: [] }));
  expect(agenda.overdue).toEqual([buildTask("a")]);
});
