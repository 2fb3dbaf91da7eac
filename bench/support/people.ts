import { randomUUID } from "node:crypto";
import type { Client } from "pg";
import { buildPerson, type Person } from "../../tests/support/client.ts";
import type { System } from "../../tests/support/system.ts";
import type { Load } from "./load.ts";

const TASKS_EACH = 1_000;
const TASKS_IN_ALL = 200_000;

/** People with 1,000 tasks each, in a table of 200,000. */
export async function buildPeople(system: System, database: Client, count: number): Promise<Person[]> {
  const people: Person[] = [];
  for (let n = 0; n < count; n += 1) people.push(await buildPerson(system));
  const others = Array.from({ length: TASKS_IN_ALL / TASKS_EACH - count }, () => randomUUID());
  await fillTasks(database, [...people.map(({ user }) => user.id), ...others], TASKS_EACH);
  return people;
}

/** Without the triggers, which would take minutes: what is measured reads none of the log's old rows. */
export async function fillTasks(database: Client, owners: readonly string[], each: number): Promise<void> {
  await database.query("ALTER TABLE tasks.tasks DISABLE TRIGGER USER");
  await database.query(
    `INSERT INTO tasks.tasks
        (user_id, id, title, description, status, priority, tags, version, created_at, updated_at)
      SELECT owner, gen_random_uuid(), 'Task ' || n, 'The one in the blue carton', 'open', n % 5, '{home}', 1,
             now() - n * interval '1 minute', now()
        FROM unnest($1::uuid[]) owner, generate_series(1, $2) n`,
    [owners, each],
  );
  await database.query("ALTER TABLE tasks.tasks ENABLE TRIGGER USER");
  await database.query("VACUUM ANALYZE tasks.tasks");
}

/** One after the other reads something of theirs. */
export const readBy =
  (people: readonly Person[], path: string): Load["request"] =>
  (n) => ({ method: "GET", path, token: personOf(people, n).tokens.accessToken });

export function personOf(people: readonly Person[], n: number): Person {
  const person = people[n % people.length];
  if (person === undefined) throw new Error("There is nobody to ask for.");
  return person;
}
