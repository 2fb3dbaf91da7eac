import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import packageJson from "../package.json" with { type: "json" };
import { buildOpenApi } from "../services/api/openapi.ts";
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
const text = `${JSON.stringify(buildOpenApi(routes, contracts, packageJson.version), null, 2)}\n`;
const complaints = await lintOpenApi(text);

if (option !== "--check") {
  await writeFile(FILE, text);
} else if (text !== (await readFile(FILE, "utf8").catch(() => ""))) {
  complaints.push("services/api/openapi.json is not what the code says now: npm run openapi.");
}
for (const complaint of complaints) console.error(complaint);
if (complaints.length > 0) process.exitCode = 1;
