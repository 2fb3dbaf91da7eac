import { execFile } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { parse } from "yaml";
import { parseEnv, settingNames } from "../config/env.ts";
import { busService } from "../config/rules.ts";
import {
  type Container,
  containersIn,
  kustomize,
  type Manifest,
  readEnv,
} from "../scripts/kubernetes/kustomize.ts";
import { makeScratchFolder } from "../scripts/services/scratch-folder.ts";

const FOLDER = "deploy/kubernetes";
const PRODUCTION = join(FOLDER, "overlays/production");

const manifests = kustomize(PRODUCTION);
const ofKind = (kind: string): Manifest[] => manifests.filter((manifest) => manifest.kind === kind);
const named = (kind: string, name: string): Manifest => {
  const found = ofKind(kind).find(({ metadata }) => metadata.name === name);
  if (!found) throw new Error(`no ${kind} ${name}`);
  return found;
};
const services = ["api", "auth", "tasks"];
const deployments = ofKind("Deployment").map((deployment): [string, Manifest] => [
  deployment.metadata.name,
  deployment,
]);
const ours = manifests.flatMap(containersIn).filter(({ image }) => image?.includes("taskmesh"));
const only = (manifest: Manifest): Container => {
  const [container, ...others] = containersIn(manifest);
  if (!container || others.length > 0) throw new Error("not one container");
  return container;
};

/** A random value for each secret, as somebody fills them in. */
const examples = ["secrets.env.example", "bus-passwords.env.example"].map((file) =>
  readEnv(join(PRODUCTION, file)),
);
const secrets: Record<string, string> = Object.fromEntries(
  Object.keys(Object.assign({}, ...examples)).map((name) => [
    name,
    /_DATABASE_URL$/.test(name)
      ? "postgres://taskmesh:x@db/taskmesh"
      : name === "SMTP_URL"
        ? "smtp://mail"
        : "0f1e2d3c4b5a69788796a5b4c3d2e1f00f1e2d3c",
  ]),
);

/** A container's environment, as the kubelet makes it. */
function environment({ env = [], envFrom = [] }: Container): Record<string, string> {
  const settings = envFrom.map(({ configMapRef }) => named("ConfigMap", configMapRef?.name ?? "").data);
  const given: Record<string, string> = Object.assign({}, ...settings);
  for (const { name, value, valueFrom } of env) {
    const { name: secret = "", key = "" } = valueFrom?.secretKeyRef ?? {};
    if (valueFrom) expect(named("Secret", secret).stringData).toHaveProperty(key);
    given[name] =
      value?.replace(/\$\((\w+)\)/g, (_, other) => given[other] ?? "missing") ?? secrets[key] ?? "";
  }
  return given;
}

describe("the Kubernetes manifests", () => {
  test("are what Kubernetes knows, and a word or a value that it doesn't know is found", async () => {
    const lint = (folder: string) =>
      promisify(execFile)(process.execPath, ["scripts/kubernetes-lint.ts", folder]);
    expect((await lint(PRODUCTION)).stdout).toMatch(/^\d+ manifests/);

    const copy = makeScratchFolder("kubernetes");
    cpSync(FOLDER, copy, { recursive: true });
    const spoil = (file: string, word: RegExp, by: string) => {
      const text = readFileSync(join(copy, file), "utf8");
      expect(text).toMatch(word);
      writeFileSync(join(copy, file), text.replace(word, by));
    };
    spoil("base/api.yaml", /maxUnavailable: 0/, "maxUnavailible: 0");
    spoil("base/auth.yaml", /memory: 256Mi/, "memory: plenty");
    spoil("base/rabbitmq.yaml", /persistence:/, "persistance:");
    await expect(lint(join(copy, "overlays/production"))).rejects.toMatchObject({
      code: 1,
      stderr: expect.stringMatching(
        /maxUnavailible[\s\S]*persistance[\s\S]*Deployment auth .*must match format/,
      ),
    });
    rmSync(copy, { recursive: true });
  });

  test("deploy each service, and nothing by an image that may change", () => {
    expect(deployments.map(([name]) => name)).toEqual(services);
    expect(deployments.map(([name, deployment]) => [name, only(deployment).args])).toEqual(
      services.map((name) => [name, [name]]),
    );
    const images = [...manifests.flatMap(containersIn).map(({ image }) => image)];
    images.push(...ofKind("RabbitmqCluster").map(({ spec }) => Object(spec).image));
    for (const image of images.filter((name) => name !== undefined)) {
      expect(image).toMatch(/^[\w./-]+:\d+\.[\w.-]+$/);
    }
  });

  test.each(deployments)(
    "keep %s alive: probes on the ops port, limits, copies apart, time to drain",
    (_name, { spec }) => {
      const { template, strategy } = Object(spec);
      const ops = { port: "ops" };
      expect(template.spec.containers[0]).toMatchObject({
        ports: expect.arrayContaining([{ name: "ops", containerPort: 3001 }]),
        startupProbe: { httpGet: { path: "/health/live", ...ops } },
        livenessProbe: { httpGet: { path: "/health/live", ...ops } },
        readinessProbe: { httpGet: { path: "/health/ready", ...ops } },
      });
      expect(strategy.rollingUpdate).toEqual({ maxUnavailable: 0, maxSurge: 1 });
      expect(template.spec.topologySpreadConstraints).toHaveLength(2);
      // Its DRAIN_DELAY, of which docs/operations.md says how long it may be; 10 s for the calls it has taken, 8 s for
      // connections of its clients, 3 s for what is left of its traces.
      const preStop = template.spec.containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
      expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(preStop + 4 + 10 + 8 + 3);
    },
  );

  test.each(ours.map((container): [string, Container] => [container.name, container]))(
    "take from %s what it can do without: root, capabilities, a writable disk, more than its share",
    (_name, { securityContext, resources }) => {
      expect(securityContext).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ["ALL"] },
      });
      const share = { cpu: expect.any(String), memory: expect.any(String) };
      expect(resources).toEqual({ requests: share, limits: share });
    },
  );

  test.each(
    [...ofKind("Deployment"), ...ofKind("Job")].map((each): [string, Manifest] => [each.metadata.name, each]),
  )("run %s as nobody in particular, without Kubernetes' token", (_name, { spec }) => {
    expect(Object(spec).template.spec).toMatchObject({
      automountServiceAccountToken: false,
      securityContext: { runAsNonRoot: true, runAsUser: 1000, seccompProfile: { type: "RuntimeDefault" } },
    });
  });

  test.each(services)("scale %s by its load, and never take all copies away at once", (name) => {
    expect(named("HorizontalPodAutoscaler", name).spec).toMatchObject({
      scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name },
      minReplicas: 2,
    });
    expect(named("PodDisruptionBudget", name).spec).toEqual({
      maxUnavailable: 1,
      selector: { matchLabels: { "app.kubernetes.io/name": name } },
    });
  });

  test("give each part settings that it knows and accepts, and no other's secrets", () => {
    const needed = {
      api: ["AMQP_URL"],
      auth: ["AMQP_URL", "AUTH_DATABASE_URL", "AUTH_SECRET"],
      tasks: ["AMQP_URL", "TASKS_DATABASE_URL"],
    } as const;
    for (const [name, required] of Object.entries(needed)) {
      const given = environment(only(named("Deployment", name)));
      const { [`RABBITMQ_${name.toUpperCase()}_PASSWORD`]: password, ...settings } = given;
      expect(password).toBeDefined();
      for (const setting of Object.keys(settings)) expect(settingNames).toContain(setting);
      const { env, violations } = Object.assign({ env: null }, parseEnv(settings, ...required));
      expect(violations).toEqual([]);
      expect(env && busService(env)).toBe(name);
    }
    const secretsOf = (container: Container) =>
      (container.env ?? []).flatMap(({ valueFrom }) => valueFrom?.secretKeyRef?.key ?? []).sort();
    expect(Object.fromEntries(ours.map((container) => [container.name, secretsOf(container)]))).toEqual({
      migrate: ["AUTH_DATABASE_URL", "TASKS_DATABASE_URL"],
      api: ["RABBITMQ_API_PASSWORD"],
      auth: ["AUTH_DATABASE_URL", "AUTH_SECRET", "RABBITMQ_AUTH_PASSWORD", "SMTP_URL"],
      tasks: ["RABBITMQ_TASKS_PASSWORD", "TASKS_DATABASE_URL"],
      "bus-users": ["RABBITMQ_API_PASSWORD", "RABBITMQ_AUTH_PASSWORD", "RABBITMQ_TASKS_PASSWORD"],
    });
  });

  test("let nothing talk but who has to: the API with RabbitMQ and where traces go, the world with the API alone", () => {
    const policies = ofKind("NetworkPolicy").map(({ metadata, spec }) => ({
      name: metadata.name,
      ...Object(spec),
    }));
    expect(policies.find(({ name }) => name === "default-deny")).toEqual({
      name: "default-deny",
      podSelector: {},
      policyTypes: ["Ingress", "Egress"],
    });
    const labels = Object.fromEntries(
      [...ofKind("Deployment"), ...ofKind("Job")].map(({ metadata, spec }) => [
        metadata.name,
        Object(spec).template.metadata.labels,
      ]),
    );
    labels.rabbitmq = { "app.kubernetes.io/name": "rabbitmq" };
    const allowed = (name: string, way: "ingress" | "egress"): number[] =>
      policies
        .filter(({ podSelector }) => selects(podSelector, labels[name]))
        .flatMap((policy) => policy[way] ?? [])
        .flatMap(({ ports }) => ports.map(({ port }: { port: number }) => port))
        .filter((port) => port !== 53)
        .sort((a, b) => a - b);
    const ways = Object.keys(labels).map((name) => [name, allowed(name, "ingress"), allowed(name, "egress")]);
    expect(ways).toEqual([
      ["api", [3000, 3001], [4318, 5672]],
      ["auth", [3001], [465, 587, 4318, 5432, 5672]],
      ["tasks", [3001], [4318, 5432, 5672]],
      ["migrate", [], [5432]],
      ["rabbitmq", [4369, 5672, 15692, 25672], [443, 4369, 6443, 25672]],
    ]);
    expect(ofKind("Service").map(({ metadata }) => metadata.name)).toEqual(["api"]);
  });

  test("have three RabbitMQs on three machines, with a user for each service and no other", () => {
    const { spec } = named("RabbitmqCluster", "rabbitmq");
    const { replicas, rabbitmq, override } = Object(spec);
    const pod = override.statefulSet.spec.template.spec;
    expect(replicas).toBe(3);
    expect(rabbitmq.additionalConfig).toMatch(/^load_definitions = \/bus\/definitions\.json$/m);
    expect(pod.initContainers[0].command).toEqual([
      "node",
      "scripts/rabbitmq.ts",
      "--out",
      "/bus",
      "api",
      "auth",
      "tasks",
    ]);
    expect(pod.topologySpreadConstraints[0]).toMatchObject({
      topologyKey: "kubernetes.io/hostname",
      whenUnsatisfiable: "DoNotSchedule",
    });
  });

  test("leave the three RabbitMQs alone when the release changes, or a secret that is not theirs", () => {
    const copy = makeScratchFolder("kubernetes");
    cpSync(FOLDER, copy, { recursive: true });
    const file = join(copy, "overlays/production/kustomization.yaml");
    // The first image is that of the release.
    writeFileSync(file, readFileSync(file, "utf8").replace(/newTag: .*/, "newTag: 9.9.9"));
    const next = kustomize(join(copy, "overlays/production"));
    rmSync(copy, { recursive: true });
    expect(next.find(({ kind }) => kind === "Deployment")).not.toEqual(ofKind("Deployment")[0]);
    expect(next.filter(({ kind }) => kind === "RabbitmqCluster")).toEqual(ofKind("RabbitmqCluster"));

    const asked: Record<string, string[]> = {};
    for (const { valueFrom } of containersIn(ofKind("RabbitmqCluster")).flatMap(({ env = [] }) => env)) {
      const { name = "", key = "" } = valueFrom?.secretKeyRef ?? {};
      asked[name] = [...(asked[name] ?? []), key].sort();
    }
    // A Secret's name has a hash of all that is in it.
    const content = Object.keys(asked).map((name) => [
      name,
      Object.keys(Object(named("Secret", name).stringData)).sort(),
    ]);
    expect(asked).toEqual(Object.fromEntries(content));
  });

  test("are found by Prometheus: a job for each service, of its ops port alone", () => {
    const [{ relabel_configs: rules, kubernetes_sd_configs: found }] = parse(
      readFileSync("deploy/observability/prometheus-kubernetes.yml", "utf8"),
    ).scrape_configs;
    expect(found).toEqual([{ role: "pod", namespaces: { names: [ofKind("Namespace")[0]?.metadata.name] } }]);
    const pods = [...ofKind("Deployment"), ...ofKind("Job")].map(({ spec }) => Object(spec).template);
    const targets = ["Running", "Failed"].flatMap((phase) =>
      pods.flatMap(({ metadata, spec }) =>
        (spec.containers[0].ports ?? [{ name: "" }]).map((port: { name: string }): Record<string, string> => {
          const labels = Object.entries(metadata.labels).map(([label, value]) => [
            `__meta_kubernetes_pod_label_${label.replace(/\W/g, "_")}`,
            value,
          ]);
          return {
            ...Object.fromEntries(labels),
            __meta_kubernetes_pod_container_port_name: port.name,
            __meta_kubernetes_pod_phase: phase,
            __meta_kubernetes_pod_name: `${metadata.labels["app.kubernetes.io/name"]}-0`,
          };
        }),
      ),
    );
    const kept = targets.map((target) => relabel(target, rules)).filter((target) => target !== null);
    const port = "__meta_kubernetes_pod_container_port_name";
    expect(kept.map((target) => [target.job, target.instance, target[port]])).toEqual(
      services.map((name) => [name, `${name}-0`, "ops"]),
    );
    // Else whoever scrapes by annotations would count each twice, under another job.
    for (const { metadata } of pods) expect(metadata.annotations).toBeUndefined();
  });

  test.each(["README.md", "docs/operations.md"])(
    "are applied as %s says only once the last release's Job is deleted",
    (file) => {
      for (const [block] of readFileSync(file, "utf8").matchAll(/^```bash$.*?^```$/gms)) {
        const before = block.split(/kubectl apply -k/)[0];
        if (before !== block) expect(before).toMatch(/delete job migrate --ignore-not-found/);
      }
    },
  );

  test("migrate before anything else is applied, and hold no secret's value", () => {
    const first = manifests.filter(({ metadata }) => metadata.labels?.["taskmesh/apply"] === "first");
    expect(first.map(({ kind }) => kind).sort()).toEqual([
      "ConfigMap",
      "Job",
      "Namespace",
      "Secret",
      "Secret",
    ]);
    expect(examples.flatMap((example) => Object.values(example)).join("")).toBe("");
    const ignored = readFileSync(".gitignore", "utf8").split("\n");
    for (const { metadata } of ofKind("Secret")) expect(ignored).toContain(`${metadata.name}.env`);
  });
});

interface Relabelling {
  source_labels: string[];
  regex?: string;
  action?: string;
  target_label: string;
}

/** A target's labels as Prometheus makes them, by what the rules here use; `null` where it drops the target. */
function relabel(target: Record<string, string>, rules: Relabelling[]): Record<string, string> | null {
  const labels = { ...target };
  for (const { source_labels, regex = ".*", action = "replace", target_label } of rules) {
    const value = source_labels.map((name) => labels[name] ?? "").join(";");
    const matches = new RegExp(`^(?:${regex})$`).test(value);
    if (action === "replace") labels[target_label] = value;
    else if (matches !== (action === "keep")) return null;
  }
  return labels;
}

/** Whether a NetworkPolicy's selector means a pod with these labels. */
function selects(selector: Record<string, unknown>, labels: Record<string, string>): boolean {
  const { matchLabels = {}, matchExpressions = [] } = Object(selector);
  return (
    Object.entries(matchLabels).every(([key, value]) => labels[key] === value) &&
    matchExpressions.every(
      ({ key, operator, values }: { key: string; operator: string; values: string[] }) =>
        operator === "Exists" ? key in labels : values.includes(labels[key] ?? ""),
    )
  );
}
