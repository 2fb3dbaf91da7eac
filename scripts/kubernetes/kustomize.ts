import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { parse, parseAllDocuments } from "yaml";

export interface Manifest {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Record<string, string>; annotations?: object };
  [field: string]: unknown;
}

interface Generator {
  name: string;
  envs: string[];
  options?: { labels?: Record<string, string> };
}

/** What kustomization.yaml may say here. Another word in it is an error: it would be ignored. */
const KNOWN = new Set([
  ...["apiVersion", "kind", "namespace", "resources", "labels", "images"],
  ...["configurations", "configMapGenerator", "secretGenerator"],
]);

/**
 * The manifests of a folder, as `kubectl kustomize` prints them, but for two things: names of generated objects have no
 * hash, and generated Secrets have their example's values (none) where there is no file of values.
 */
export function kustomize(folder: string): Manifest[] {
  const asked = parse(readFileSync(join(folder, "kustomization.yaml"), "utf8"), { merge: true });
  for (const word of Object.keys(asked)) if (!KNOWN.has(word)) throw new Error(`${folder}: ${word}`);
  const manifests = (asked.resources ?? []).flatMap((path: string): Manifest[] => {
    const resource = join(folder, path);
    if (statSync(resource).isDirectory()) return kustomize(resource);
    return parseAllDocuments(readFileSync(resource, "utf8"), { merge: true }).map((each) => each.toJS());
  });
  const generated = (kind: string, generators: Generator[] = []): Manifest[] =>
    generators.map(({ name, envs, options = {} }) => ({
      apiVersion: "v1",
      kind,
      metadata: { name, ...options },
      [kind === "Secret" ? "stringData" : "data"]: Object.assign(
        {},
        ...envs.map((env) => readEnv(join(folder, env))),
      ),
    }));
  const all: Manifest[] = [
    ...manifests,
    ...generated("ConfigMap", asked.configMapGenerator),
    ...generated("Secret", asked.secretGenerator),
  ];
  for (const manifest of all) {
    const { metadata } = manifest;
    if (asked.namespace !== undefined && manifest.kind !== "Namespace") metadata.namespace = asked.namespace;
    for (const { pairs } of asked.labels ?? []) metadata.labels = { ...metadata.labels, ...pairs };
    for (const container of containersIn(manifest)) {
      const image = asked.images?.find(({ name }: { name: string }) => name === container.image);
      if (image) container.image = `${image.newName}:${image.newTag}`;
    }
  }
  return all;
}

/** `NAME=value` lines. */
export function readEnv(path: string): Record<string, string> {
  const exists = statSync(path, { throwIfNoEntry: false }) !== undefined;
  const lines = readFileSync(exists ? path : `${path}.example`, "utf8").split("\n");
  const settings = lines.filter((line) => line !== "" && !line.startsWith("#"));
  return Object.fromEntries(settings.map((line) => [line.replace(/=.*/, ""), line.replace(/^[^=]*=/, "")]));
}

export interface Container {
  name: string;
  image?: string;
  command?: string[];
  args?: string[];
  env?: { name: string; value?: string; valueFrom?: { secretKeyRef?: { name: string; key: string } } }[];
  envFrom?: { configMapRef?: { name: string } }[];
  resources?: { requests?: Record<string, unknown>; limits?: Record<string, unknown> };
  securityContext?: object;
  readinessProbe?: object;
  livenessProbe?: object;
  startupProbe?: object;
}

/** Of pods, of what makes pods, and of what an operator makes pods of. */
export function containersIn(value: unknown): Container[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([field, inner]) =>
    /^(?:initC|c)ontainers$/.test(field) && Array.isArray(inner) ? inner : containersIn(inner),
  );
}
