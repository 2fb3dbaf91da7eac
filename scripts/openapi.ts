import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import * as agenda from "../examples/agenda/routes.ts";
import packageJson from "../package.json" with { type: "json" };
import { toOpenApi30 } from "../services/api/openapi/openapi-3.0.ts";
import { buildOpenApi, extendOpenApi } from "../services/api/openapi.ts";
import { routes } from "../services/api/routes.ts";
import { authActions } from "../services/auth/auth.schema.ts";
import { taskActions } from "../services/tasks/tasks.schema.ts";
import { lintOpenApi } from "./openapi-lint.ts";

const USAGE = `Usage: npm run openapi [-- --check]
  Writes services/api/openapi.json from the route table and the schemas.
  --check  only says whether the committed file is up to date and what the linters find in it`;

const FILE = join(import.meta.dirname, "../services/api/openapi.json");

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

if (option !== "--check") {
  await writeFile(FILE, text);
} else if (text !== (await readFile(FILE, "utf8").catch(() => ""))) {
  complaints.push("services/api/openapi.json is not what the code says now: npm run openapi.");
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
