import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { kustomize, type Manifest } from "./kubernetes/kustomize.ts";
import { RABBITMQ_CLUSTER } from "./kubernetes/rabbitmq-cluster.ts";
import { runOwned } from "./services/owned-process.ts";

/*
 * node scripts/kubernetes-lint.ts deploy/kubernetes/overlays/production
 *
 * Holds what kustomize makes of a folder against Kubernetes' own schemas, as the package kubernetes-models has them.
 * Twice, for want of one that says all: its types find words that Kubernetes does not know, its validators wrong values.
 */

const [folder] = process.argv.slice(2);
if (folder === undefined) {
  console.error("Usage: node scripts/kubernetes-lint.ts FOLDER");
  process.exit(2);
}

const manifests = kustomize(folder);
const work = mkdtempSync(join(tmpdir(), "taskmesh-kubernetes-"));
try {
  symlinkSync(resolve("node_modules"), join(work, "node_modules"), "dir");
  writeFileSync(join(work, "package.json"), '{ "type": "module" }');
  writeFileSync(join(work, "manifests.ts"), asTypeScript(manifests));
  const typescript = ["node_modules/.bin/tsc", "--ignoreConfig", "--noEmit", "--pretty", "false"] as const;
  const options = ["--strict", "--skipLibCheck", "--module", "nodenext", "--target", "esnext", "--types", ""];
  await expectSilence([process.execPath, ...typescript, ...options, join(work, "manifests.ts")]);
  await expectSilence([process.execPath, join(work, "manifests.ts")]);
  if (process.exitCode === undefined) console.log(`${manifests.length} manifests of ${folder} are sound.`);
} finally {
  rmSync(work, { recursive: true, force: true });
}

async function expectSilence(command: [string, ...string[]]): Promise<void> {
  const { code, output } = await runOwned(command);
  if (code === 0) return;
  console.error(output.replace(/^\S*manifests\.ts/gm, "").trim());
  process.exitCode = 1;
}

/** A manifest a line, with its schema's type; run, it validates each. */
function asTypeScript(all: readonly Manifest[]): string {
  const kinds = new Set(all.map(({ apiVersion, kind }) => `${apiVersion}/${kind}`));
  const imports = [...kinds].map((kind) => {
    const name = kind.split("/").at(-1);
    if (kind === "rabbitmq.com/v1beta1/RabbitmqCluster") return RABBITMQ_CLUSTER;
    return `import { ${name}, type I${name} } from "kubernetes-models/${kind}";`;
  });
  const values = all.map((manifest, index) => {
    const { kind, metadata } = manifest;
    return [
      `// ${kind} ${metadata.name}`,
      `const m${index}: I${kind} = ${JSON.stringify(manifest)};`,
      `check("${kind} ${metadata.name}", () => new ${kind}(m${index}).validate());`,
    ].join("\n");
  });
  return `${imports.join("\n")}
declare const process: { exitCode: number };
function check(name: string, validate: () => void): void {
  try { validate(); } catch (error) { process.exitCode = 1; console.log(name, String(error)); }
}
declare const console: { log(...words: string[]): void };
${values.join("\n")}
`;
}
