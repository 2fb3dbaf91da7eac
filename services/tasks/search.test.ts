import { randomBytes } from "node:crypto";
import fc from "fast-check";
import { QueryTypes } from "sequelize";
import { v7 as uuidv7 } from "uuid";
import { validate } from "../../lib/validator.ts";
import { countRunning } from "../../tests/support/count-running.ts";
import { createMigratedDatabase, type MigratedDatabase } from "../../tests/support/migrated-database.ts";
import { createCursors } from "./cursors.logic.ts";
import type { SparseTask } from "./task.schema.ts";
import { createTaskLogic } from "./tasks.logic.ts";
import { createTaskRepository } from "./tasks.repository.ts";
import { taskActions } from "./tasks.schema.ts";
import { createTurns } from "./turns.logic.ts";
import { buildRow, createTaskWrites, type TaskWrites } from "./writes.logic.ts";

let db: MigratedDatabase;
let repository: ReturnType<typeof createTaskRepository>;
let writes: TaskWrites;
let logic: ReturnType<typeof createTaskLogic>;
let now = Date.UTC(2026, 10, 22, 10);

beforeAll(async () => {
  db = await createMigratedDatabase();
  repository = createTaskRepository(db.database);
  const cursors = createCursors(randomBytes(32));
  // Each look at the clock is a millisecond later, so that "newest first" says one thing only.
  const clock = () => now++;
  const longReads = createTurns("long_read", { clock });
  logic = createTaskLogic({ tasks: repository, cursors: () => cursors, longReads, clock });
  writes = createTaskWrites({ tasks: repository, operation: null, announce: () => {}, clock: () => now++ });
});
afterAll(() => db.drop());

interface Text {
  title: string;
  description?: string;
  tags?: string[];
}

const build = (userId: string, text: Text) =>
  writes.create({ userId, timeZone: "UTC" }, validate(taskActions.create.params, text));

const list = (userId: string, query: object) =>
  logic.list({ userId, timeZone: "UTC" }, validate(taskActions.list.params, query));

/** Titles of all that is found, best first; page by page. */
async function search(userId: string, q: string, query: object = {}): Promise<string[]> {
  const found: SparseTask[] = [];
  let cursor: string | null = null;
  do {
    const page = await list(userId, { q, ...query, ...(cursor === null ? {} : { cursor }) });
    found.push(...page.items);
    cursor = page.nextCursor;
  } while (cursor !== null);
  return found.map(({ title = "" }) => title);
}

/** Whether a task with this title, beside one that never fits, is found. */
async function finds(q: string, title: string): Promise<boolean> {
  const userId = uuidv7();
  await build(userId, { title });
  await build(userId, { title: "Ω" });
  return (await search(userId, q)).includes(title);
}

describe("a word", () => {
  it.each([
    ["milk", "Buy milk"],
    ["milks", "Buy milk"],
    ["milk", "Two milks"],
    ["running", "Run home"],
    ["happiness", "happy days"],
    ["the", "Read The Book"],
    ["задачи", "Новая задача"],
    ["задача", "Все задачи"],
    ["встречу", "Утренняя встреча"],
    ["встречами", "Назначить встречу"],
    ["был", "Она была здесь"],
  ])("is found with another ending: %s in %s", async (q, title) => {
    expect(await finds(q, title)).toBe(true);
  });

  it.each([
    ["ilk", "Buy milk"],
    ["k", "Buy milk"],
    ["лок", "Купить молоко"],
    ["ternational", "Internationalisation"],
    ["internationalisation", "internationalisation"],
    ["奶", "购买牛奶"],
    ["牛奶", "购买牛奶和面包"],
    ["面包", "购买牛奶和面包"],
    ["न्दी", "हिन्दी सीखो"],
    ["ภาษา", "เรียนภาษาไทย"],
    ["عرب", "تعلم العربية"],
    ["2026", "v12026b"],
    ["x".repeat(150), "x".repeat(200)],
  ])("is found as a part of another: %s in %s", async (q, title) => {
    expect(await finds(q, title)).toBe(true);
  });

  it.each([
    ["MILK", "milk"],
    ["молоко", "МОЛОКО"],
    ["елка", "Ёлка"],
    ["ёлка", "елка"],
    ["e\u0308лка".replace("e", "е"), "Ёлка"],
    ["cafe", "Café"],
    ["café", "CAFE\u0301"],
    ["istanbul", "İSTANBUL"],
    ["σας", "ΣΑΣ"],
    ["ABC", "ａｂｃ"],
    ["fine", "ﬁne"],
    ["𐐨", "𐐀"],
  ])("is found in another spelling: %s in %s", async (q, title) => {
    expect(await finds(q, title)).toBe(true);
  });

  it.each([
    ["milkshake", "milk"],
    ["cat", "concentrate a t"],
    ["abcd", "ab cd"],
    ["мой", "моисей"],
    ["internationalists", "internationalisation"],
    ["ilk il lk k z", "milk"],
  ])("is not found where it is not: %s in %s", async (q, title) => {
    expect(await finds(q, title)).toBe(false);
  });

  it("that is an emoji is found, and others are not", async () => {
    expect(await finds("🥛", "Milk 🥛")).toBe(true);
    expect(await finds("🥛", "Milk🥛🍞")).toBe(true);
    expect(await finds("🍞", "Milk 🥛")).toBe(false);
  });

  it("is found in title, tags and description, whichever holds which", async () => {
    const userId = uuidv7();
    await build(userId, { title: "one", tags: ["two words"], description: "three\nfour" });
    for (const q of ["one", "two", "words", "four", "one two three four", "FOUR one"]) {
      expect([q, await search(userId, q)]).toEqual([q, ["one"]]);
    }
    expect(await search(userId, "one five")).toEqual([]);
  });
});

describe("what is no letter, digit or emoji", () => {
  const odd = ["%", "_", "&", "|", "!", ":*", "'", "\\", '"', "(", ")", "<->", "--", ";", "$1", "*", "<b>"];

  it("separates words and means nothing", async () => {
    const userId = uuidv7();
    await build(userId, { title: "oat milk" });
    await build(userId, { title: "oat", description: "bread" });
    for (const each of odd.filter((text) => !/[a-z\d]/.test(text))) {
      for (const q of [`oat${each}milk`, `${each}oat ${each} milk${each}`]) {
        expect([q, await search(userId, q)]).toEqual([q, ["oat milk"]]);
      }
    }
    expect(await search(userId, "!oat")).toEqual(["oat", "oat milk"]);
    expect(await search(userId, "m%k")).toEqual(["oat milk"]);
    expect(await search(userId, "m_lq")).toEqual([]);
  });

  it("finds nothing alone, also where it is in a text", async () => {
    const userId = uuidv7();
    await build(userId, { title: "100% _ & ! ' \\ :*" });
    for (const q of ["%", "_", " ", "& | !", "':*\\'", "\u200b", "…", "\u0301\u200d"].slice(0, 7)) {
      const page = await list(userId, { q, count: true, explain: true });
      expect(page).toMatchObject({ items: [], total: 0, explain: { search: { words: [] } } });
    }
  });

  it("never breaks a statement", async () => {
    const texts = fc.oneof(
      fc.string({ unit: "binary", minLength: 1, maxLength: 40 }),
      fc.string({ unit: fc.constantFrom(...odd, "a", " ", "я", "'", "\\"), minLength: 1, maxLength: 30 }),
    );
    await fc.assert(
      fc.asyncProperty(
        texts.filter((text) => text.isWellFormed() && !text.includes("\0") && text.trim() !== ""),
        async (text) => {
          const userId = uuidv7();
          const task = await build(userId, {
            title: text,
            description: text,
            tags: [text],
          });
          const { items } = await list(userId, { q: text, explain: true });
          const words = await repository.searchWords(text);
          expect(items.some(({ id }) => id === task.id)).toBe(words.length > 0);
        },
      ),
      { numRuns: 60 },
    );
  });
});

/** Letters without endings to cut off, and few of them, so that words often contain each other. */
const word = fc.string({ unit: fc.constantFrom("α", "β", "7"), minLength: 1, maxLength: 8 });
const phrase = (most: number) =>
  fc.array(word, { minLength: 1, maxLength: most }).map((words) => words.join(" "));
const texts = fc.record({
  title: phrase(3),
  description: fc.oneof(fc.constant(""), phrase(4)),
  tags: fc.uniqueArray(word, { maxLength: 2 }),
});
type Written = typeof texts extends fc.Arbitrary<infer T> ? T : never;

/** From 1 to 6, or 0 for what is not found. */
function modelRank({ title, description, tags }: Written, q: string): number {
  const asked = q.split(" ");
  const has =
    (text: string, whole = false) =>
    (one: string) =>
      whole ? text.split(" ").includes(one) : text.split(" ").some((each) => each.includes(one));
  const everything = [title, ...tags, description].join(" ");
  if (!asked.every(has(everything))) return 0;
  if (asked.every(has(title, true))) return 6;
  if (asked.every(has(title))) return 5;
  if (asked.every(has([title, ...tags].join(" ")))) return 4;
  if (asked.some(has(title))) return 3;
  return asked.some(has(tags.join(" "))) ? 2 : 1;
}

describe("a search", () => {
  it("finds what the model finds, titles before tags before descriptions, newest first, on pages of any length", async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(texts, { minLength: 1, maxLength: 12 }),
        phrase(3),
        fc.integer({ min: 1, max: 5 }),
        async (written, q, limit) => {
          const userId = uuidv7();
          const built = [];
          for (const text of written) built.push({ text, ...(await build(userId, text)) });
          const expected = built
            .toReversed()
            .map((task) => ({ id: task.id, rank: modelRank(task.text, q) }))
            .filter(({ rank }) => rank > 0)
            .sort((a, b) => b.rank - a.rank);
          const found: string[] = [];
          let cursor: string | null = null;
          do {
            const page = await list(userId, {
              q,
              limit,
              count: true,
              ...(cursor === null ? {} : { cursor }),
            });
            expect(page.total).toBe(expected.length);
            found.push(...page.items.map(({ id }) => id));
            cursor = page.nextCursor;
          } while (cursor !== null);
          expect(found).toEqual(expected.map(({ id }) => id));
        },
      ),
      { numRuns: 40 },
    );
  });

  it("goes by the sort that is asked for, and with other filters", async () => {
    const userId = uuidv7();
    for (const title of ["b milk", "c", "a milk", "milk"]) await build(userId, { title, tags: [title] });
    expect(await search(userId, "milk", { sort: "title", limit: 2 })).toEqual(["a milk", "b milk", "milk"]);
    expect(await search(userId, "milk", { sort: "-createdAt", limit: 1 })).toEqual([
      "milk",
      "a milk",
      "b milk",
    ]);
    expect(await search(userId, "milk", { tag: "a milk" })).toEqual(["a milk"]);
    expect(await search(userId, "milk", { status: "done" })).toEqual([]);
  });

  it("has cursors of its own", async () => {
    const userId = uuidv7();
    for (const title of ["milk", "milky"]) await build(userId, { title });
    const { nextCursor } = await list(userId, { q: "milk", limit: 1 });
    for (const query of [{ q: "mil" }, {}, { q: "milk", sort: "-createdAt" }]) {
      await expect(list(userId, { ...query, cursor: nextCursor })).rejects.toMatchObject({
        type: "invalid_cursor",
      });
    }
    expect((await list(userId, { q: "milk", cursor: nextCursor })).items).toMatchObject([{ title: "milky" }]);
  });

  it("meets nobody else's tasks, whatever is in them", async () => {
    const [ada, ben] = [uuidv7(), uuidv7()];
    // The same key in the index: the person decides all the same.
    const twin = ada.replace(/^./, (first) => (first === "f" ? "e" : "f"));
    for (const userId of [ada, ben, twin]) await build(userId, { title: "milk" });
    const { items, total } = await list(ada, { q: "milk", count: true });
    expect([items.map(({ userId }) => userId), total]).toEqual([[ada], 1]);
  });
});

describe("the texts that a search reads", () => {
  const stored = async (userId: string) =>
    db.database.query(
      `SELECT id, words = tasks.search_vector(user_id, title, tags, description) AS "isTrue", texts.ctid
         FROM tasks.task_texts texts LEFT JOIN tasks.tasks USING (user_id, id) WHERE texts.user_id = $1 ORDER BY id`,
      { bind: [userId], type: QueryTypes.SELECT },
    );

  it("follow every change of a task, and are left alone by a change of anything else", async () => {
    const userId = uuidv7();
    const caller = { userId, timeZone: "UTC" };
    const { id } = await build(userId, { title: "milk" });
    const before = await stored(userId);
    await writes.update(caller, { id, patch: { status: "done", priority: "high", due: "2026-12-01" } });
    expect(await stored(userId)).toEqual(before);

    for (const patch of [{ title: "bread" }, { tags: ["butter"] }, { description: "jam" }]) {
      await writes.update(caller, { id, patch });
      expect(await stored(userId)).toMatchObject([{ id, isTrue: true }]);
    }
    expect(await search(userId, "milk")).toEqual([]);
    expect(await search(userId, "bread butter jam")).toEqual(["bread"]);
    await writes.delete(caller, { id });
    expect(await search(userId, "bread")).toEqual([]);
    await writes.restore(caller, { id });
    expect(await search(userId, "bread")).toEqual(["bread"]);
    await db.database.query("DELETE FROM tasks.tasks WHERE user_id = $1", { bind: [userId] });
    expect(await stored(userId)).toEqual([]);
  });

  it("follow statements that write many tasks at once, by whatever way", async () => {
    const [userId, other] = [uuidv7(), uuidv7()];
    for (const title of ["a", "b", "c"]) await build(userId, { title });
    const run = (sql: string, bind: unknown[] = [userId]) => db.database.query(sql, { bind });
    const trueOnes = async (id: string) => (await stored(id)).map((each) => "isTrue" in each && each.isTrue);

    await run(
      `INSERT INTO tasks.tasks SELECT (jsonb_populate_record(t, jsonb_build_object('id', gen_random_uuid()))).*
         FROM tasks.tasks t WHERE user_id = $1`,
    );
    expect(await trueOnes(userId)).toEqual(Array(6).fill(true));
    await run("UPDATE tasks.tasks SET title = title || ' more' WHERE user_id = $1");
    expect(await trueOnes(userId)).toEqual(Array(6).fill(true));
    await build(other, { title: "a" });
    await run(
      "WITH gone AS (DELETE FROM tasks.tasks WHERE user_id = $1 RETURNING 1) SELECT count(*) FROM gone",
    );
    expect([await stored(userId), await trueOnes(other)]).toEqual([[], [true]]);
  });

  describe("that are more than a transaction has time for", () => {
    const long = "milk and bread ".repeat(1_333).trim();
    const isTrue = async (userId: string) => (await stored(userId)).map((each) => Object(each).isTrue);
    const unread = (userId: string) =>
      db.database.query("SELECT id FROM tasks.unread_texts WHERE user_id = $1 ORDER BY id", {
        bind: [userId],
        type: QueryTypes.SELECT,
      });
    const readAll = async () => {
      while ((await repository.readTexts(5)) > 0);
    };
    /** Four tasks of 20,000 characters in one statement: two are read at once. */
    async function buildFour(userId: string): Promise<string[]> {
      const caller = { userId, timeZone: "UTC" };
      const task = validate(taskActions.create.params, { title: "Shopping", description: long });
      const rows = Array.from({ length: 4 }, () => buildRow(caller, task, new Date(now++)));
      await repository.insert(rows);
      return rows.map(({ id }) => id);
    }

    it("are found by their titles at once, and by all else when they are read", async () => {
      const userId = uuidv7();
      const ids = await buildFour(userId);
      expect(await isTrue(userId)).toEqual([true, true, false, false]);
      expect(await unread(userId)).toEqual([{ id: ids[2] }, { id: ids[3] }]);
      expect([await search(userId, "shop"), await search(userId, "bread")]).toMatchObject([
        { length: 4 },
        { length: 2 },
      ]);
      await readAll();
      expect(await isTrue(userId)).toEqual([true, true, true, true]);
      expect([await unread(userId), await search(userId, "bread")]).toMatchObject([[], { length: 4 }]);
    });

    it("are read as they are by then, also when they were changed or erased meanwhile", async () => {
      const userId = uuidv7();
      const [, , third = "", fourth = ""] = await buildFour(userId);
      await writes.update({ userId, timeZone: "UTC" }, { id: third, patch: { description: "jam" } });
      await db.database.query("DELETE FROM tasks.tasks WHERE user_id = $1 AND id = $2", {
        bind: [userId, fourth],
      });
      expect(await unread(userId)).toEqual([{ id: third }]);
      await readAll();
      expect([await isTrue(userId), await search(userId, "jam")]).toEqual([[true, true, true], ["Shopping"]]);
    });

    it("are put off as well when they are changed, many at a time", async () => {
      const userId = uuidv7();
      const ids = await buildFour(userId);
      await readAll();
      const patch = { description: `${long} jam` };
      await repository.write(
        userId,
        ids.map((id) => ({ id, patch })),
        { now: new Date(now++) },
      );
      expect([await unread(userId), await search(userId, "jam")]).toMatchObject([
        { length: 2 },
        { length: 2 },
      ]);
      await readAll();
      expect(await search(userId, "jam")).toHaveLength(4);
    });

    it("are read by one node at a time", async () => {
      const userId = uuidv7();
      await buildFour(userId);
      const other = await db.database.transaction();
      await db.database.query("SELECT pg_advisory_xact_lock(hashtext('tasks.unread_texts'))", {
        transaction: other,
      });
      expect([await repository.readTexts(5), (await unread(userId)).length]).toEqual([0, 2]);
      await other.commit();
      expect([await repository.readTexts(5), (await unread(userId)).length]).toEqual([2, 0]);
    });

    it("are left for the next time while somebody changes the task", async () => {
      const userId = uuidv7();
      const [, , third = ""] = await buildFour(userId);
      const change = await db.database.transaction();
      await db.database.query(
        "UPDATE tasks.tasks SET description = description || ' jam' WHERE user_id = $1 AND id = $2",
        { bind: [userId, third], transaction: change },
      );
      await readAll();
      expect(await unread(userId)).toEqual([{ id: third }]);
      await change.commit();
      await readAll();
      expect([await isTrue(userId), await search(userId, "jam")]).toMatchObject([
        [true, true, true, true],
        { length: 1 },
      ]);
    });
  });

  it("take the longest task there can be, of any script", async () => {
    const userId = uuidv7();
    const han = Array.from({ length: 20_000 }, (_, index) =>
      String.fromCodePoint(0x20000 + ((index * 7919) % 40_000)),
    );
    const squared = Array.from({ length: 20_000 }, (_, index) => String.fromCodePoint(0x3300 + (index % 88)));
    for (const characters of [
      han,
      squared,
      Array(20_000).fill("ﷺ"),
      Array(6_600).fill("a b").join("").split(""),
    ]) {
      const text = characters.join("");
      const task = { title: characters.slice(0, 200).join(""), description: text };
      const tags = Array.from(
        { length: 20 },
        (_, tag) => characters.slice(tag * 50, tag * 50 + 48).join("") + tag,
      );
      await build(userId, { ...task, tags: [...new Set(tags)] });
      const q = characters.slice(10_000, 10_020).join("");
      expect((await list(userId, { q })).items[0]?.description).toBe(text);
    }
  });
});

describe("searches and counts", () => {
  /** The most lists that were read at a time, of ten that are asked for at once. */
  async function mostAtOnce(query: object): Promise<number> {
    const { counted, most } = countRunning(repository.list);
    const clock = () => now++;
    const watching = createTaskLogic({
      tasks: { ...repository, list: counted },
      cursors: () => createCursors(randomBytes(32)),
      longReads: createTurns("long_read", { clock }),
      clock,
    });
    const caller = { userId: uuidv7(), timeZone: "UTC" };
    const params = validate(taskActions.list.params, query);
    await Promise.all(Array.from({ length: 10 }, () => watching.listText(caller, params)));
    return most();
  }

  it.each([
    { query: { q: "milk" }, most: 2 },
    { query: { count: "true" }, most: 2 },
    { query: { status: "open" }, most: 10 },
  ])("of one person: with $query, $most run at a time", async ({ query, most }) => {
    expect(await mostAtOnce(query)).toBe(most);
  });
});
