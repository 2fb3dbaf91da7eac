import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";

const ROOT = join(import.meta.dirname, "..");
const LINES = Array.from({ length: 31 }, (_, index) => index + 1);

/** Lines and files of the table in docs/security.md. */
const rows = [
  ...readFileSync(join(ROOT, "docs/security.md"), "utf8").matchAll(/^\| ([\d, ]+) \|.*\| (`[^|]*`) \|$/gm),
].map(([, lines = "", files = ""]) => ({
  lines: lines.split(", ").map(Number),
  files: files.split(", ").map((file) => file.replaceAll("`", "")),
}));

/** Where docs/security.md says that a file is. */
const pathOf = (name: string): string => {
  const places = name.includes("/") ? [`tests/${name}`, `services/${name}`, name] : [`tests/${name}`];
  const found = places.map((place) => join(ROOT, `${place}.test.ts`)).find(existsSync);
  if (found === undefined) throw new Error(`There is no ${name}.test.ts.`);
  return found;
};

/** The lines that tests of a file have in their names. */
const linesIn = (file: string): number[] =>
  [...readFileSync(pathOf(file), "utf8").matchAll(/\bline (\d+)\b/g)].map(([, line]) => Number(line));

test("every line of the checklist has a promise in docs/security.md", () => {
  expect([...new Set(rows.flatMap(({ lines }) => lines))].sort((a, b) => a - b)).toEqual(LINES);
});

test.each(rows.flatMap(({ lines, files }) => files.map((file) => [file, lines] as const)))(
  "%s has tests named by lines %p",
  (file, lines) => {
    expect(linesIn(file)).toEqual(expect.arrayContaining(lines));
  },
);
