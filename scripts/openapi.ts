import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as agenda from "../examples/agenda/routes.ts";
import packageJson from "../package.json" with { type: "json" };
import { toOpenApi30 } from "../services/api/openapi/openapi-3.0.ts";
import { buildOpenApi, extendOpenApi } from "../services/api/openapi.ts";
import { routes } from "../services/api/routes.ts";
import { authActions } from "../services/auth/auth.schema.ts";
import { authEvents } from "../services/auth/events.schema.ts";
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
const document = buildOpenApi(routes, contracts, packageJson.version);
const text = `${JSON.stringify(document, null, 2)}\n`;
/** As a gateway serves it: to tools of before 2021, with the routes of a service that joined later. */
const served = toOpenApi30(extendOpenApi(document, agenda.routes, agenda.contracts));
const complaints = (await Promise.all([lintOpenApi(text), lintOpenApi(JSON.stringify(served))])).flat();
const bus = await readFile(inProject("docs/bus.md"), "utf8");
const documents = {
  "services/api/openapi.json": text,
  "docs/bus.md": renderBusDocument(bus, { ...contracts, api: {} }, { ...authEvents, ...taskEvents }),
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
