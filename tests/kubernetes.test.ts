import { execFile } from "node:child_process";
import { cpSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
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
const secrets: Record<string, string> = Object.fromEntries(
  Object.keys(readEnv(join(PRODUCTION, "secrets.env.example"))).map((name) => [
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
      // moleculer.config.ts: a stopping node waits 10 s for the calls it has taken.
      const preStop = template.spec.containers[0].lifecycle?.preStop.sleep.seconds ?? 0;
      expect(template.spec.terminationGracePeriodSeconds).toBeGreaterThan(preStop + 10);
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

  test("let nothing talk but who has to: the API with RabbitMQ alone, the world with the API alone", () => {
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
      ["api", [3000, 3001], [5672]],
      ["auth", [3001], [465, 587, 5432, 5672]],
      ["tasks", [3001], [5432, 5672]],
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

  test("migrate before anything else is applied, and hold no secret's value", () => {
    const first = manifests.filter(({ metadata }) => metadata.labels?.["taskmesh/apply"] === "first");
    expect(first.map(({ kind }) => kind).sort()).toEqual(["ConfigMap", "Job", "Namespace", "Secret"]);
    expect(Object.values(readEnv(join(PRODUCTION, "secrets.env.example"))).join("")).toBe("");
    expect(readFileSync(".gitignore", "utf8")).toMatch(/^secrets\.env$/m);
    expect(ofKind("Secret")).toHaveLength(1);
  });
});

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
