import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { buildOpenApi } from "../services/api/openapi.ts";
import { routes } from "../services/api/routes.ts";
import { authActions } from "../services/auth/auth.schema.ts";
import { taskEvents } from "../services/tasks/events.schema.ts";
import { taskActions } from "../services/tasks/tasks.schema.ts";
import { renderBusDocument } from "./bus-document.ts";
import { lintOpenApi } from "./openapi-lint.ts";

const USAGE = `Usage: npm run openapi [-- --check]
  Writes services/api/openapi.json and the tables of docs/bus.md from the route table and the contracts.
  --check  only says whether the committed files are up to date and what the linters find in the first`;

const inProject = (path: string): string => join(import.meta.dirname, "..", path);

const [option] = process.argv.slice(2);
if (option !== undefined && option !== "--check") {
  console.error(USAGE);
  process.exit(2);
}

const contracts = { auth: authActions, tasks: taskActions };
const text = `${JSON.stringify(buildOpenApi(routes, contracts, packageJson.version), null, 2)}\n`;
const complaints = await lintOpenApi(text);
const bus = await readFile(inProject("docs/bus.md"), "utf8");
const documents = {
  "services/api/openapi.json": text,
  "docs/bus.md": renderBusDocument(bus, { ...contracts, api: {} }, taskEvents),
};

for (const [path, wanted] of Object.entries(documents)) {
  if (option !== "--check") {
    await writeFile(inProject(path), wanted);
  } else if (wanted !== (await readFile(inProject(path), "utf8").catch(() => ""))) {
    complaints.push(`${path} is not what the code says now: npm run openapi.`);
  }
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
