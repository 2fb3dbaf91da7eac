import { runOwned } from "./services/owned-process.ts";

/*
 * npm run check
 *
 * What can be said about the code without running it. All checks run at once; those that fail print why.
 */

type Command = readonly [string, ...string[]];

const bin = (name: string, ...args: string[]): Command => [
  process.execPath,
  `node_modules/.bin/${name}`,
  ...args,
];

const checks: Record<string, Command> = {
  "format and lint": bin("biome", "check", "--error-on-warnings"),
  types: bin("tsc", "-p", "."),
  layers: bin("depcruise", "--config", ".dependency-cruiser.cjs", "--output-type", "err-long", "."),
  "unused files, exports, packages": bin("knip"),
  "compose file": bin(
    "dclint",
    "docker-compose.yml",
    "--max-warnings=0",
    // What reads well here is a matter of the reader, not of the alphabet.
    "--disable-rule=service-keys-order",
    "--disable-rule=services-alphabetical-order",
    "--disable-rule=top-level-properties-order",
  ),
  "Kubernetes manifests": [
    process.execPath,
    "scripts/kubernetes-lint.ts",
    "deploy/kubernetes/overlays/production",
  ],
  "OpenAPI document": [process.execPath, "scripts/openapi.ts", "--check"],
};

const start = performance.now();
const seconds = (): string => `${((performance.now() - start) / 1000).toFixed(1)} s`;

const results = await Promise.all(
  Object.entries(checks).map(async ([name, command]) => {
    const { code, output } = await runOwned(command);
    console.log(
      code === 0 ? `ok      ${name} (${seconds()})` : `FAILED  ${name} (${seconds()})\n\n${output}`,
    );
    return code === 0;
  }),
);
process.exitCode = results.every(Boolean) ? 0 : 1;
