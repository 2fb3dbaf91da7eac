import { readFileSync } from "node:fs";
import { parser } from "@prometheus-io/lezer-promql";
import Joi from "joi";
import { parse } from "yaml";
import { scrape } from "./support/prometheus.ts";
import { type RunningSystem, startOneProcess } from "./support/system.ts";

const FOLDER = "deploy/observability";
const read = (name: string): string => readFileSync(`${FOLDER}/${name}`, "utf8");

interface Panel {
  title: string;
  type: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string; datasource: { uid: string } }[];
}
const dashboard: { uid: string; panels: Panel[]; templating: { list: { name: string }[] } } = JSON.parse(
  read("grafana/dashboard.json"),
);
const alerts: { alert: string; expr: string; annotations: { summary: string; runbook: string } }[] = parse(
  read("alerts.yml"),
).groups.flatMap(({ rules }: { rules: object[] }) => rules);

const shown = dashboard.panels.flatMap(({ title, targets = [] }) =>
  targets.map(({ expr }): [string, string] => [title, expr.replaceAll("$__rate_interval", "5m")]),
);
const watched = alerts.map(({ alert, expr }): [string, string] => [alert, expr]);

/** Metrics that a PromQL expression names; throws when Prometheus's own grammar does not take it. */
function metricsIn(expr: string): { metric: string; labels: string[] }[] {
  const found: { metric: string; labels: string[] }[] = [];
  parser.parse(expr).iterate({
    enter({ type, from, to, node }) {
      if (type.isError) throw new Error(`not PromQL at ${from}: ${expr}`);
      if (type.name !== "VectorSelector") return;
      const metric = node.getChild("Identifier") ?? node.getChild("MetricIdentifier");
      if (!metric) throw new Error(`no metric in ${expr.slice(from, to)}`);
      const labels = [...expr.slice(from, to).matchAll(/([a-z_]+)\s*(?:=~|!~|!=|=)/g)];
      found.push({ metric: expr.slice(metric.from, metric.to), labels: labels.map(([, name = ""]) => name) });
    },
  });
  return found;
}

/**
 * Labels that every alert of an expression has: of sums those they are by, of `absent` those of the selector that it is
 * given, if it is given no more than that. `null` where it aggregates nothing, and each series keeps its own.
 */
function labelsLeft(expr: string): string[] | null {
  const parts = expr.split(/\bor\b/).map((part) => {
    const [, absent] = /\babsent\((.*)\)/.exec(part) ?? [];
    if (absent !== undefined)
      return /^\w+\{\w+="\w+"\}$/.test(absent) ? [absent.replace(/^.*\{|=.*$/g, "")] : [];
    if (!/\bsum\b/.test(part)) return null;
    return (/\bsum by \((.*?)\)/.exec(part)?.[1] ?? "").split(", ");
  });
  const limited = parts.filter((part) => part !== null);
  const [first] = limited;
  return first?.filter((label) => limited.every((part) => part.includes(label))) ?? null;
}

/** Prometheus's own, of every target; and labels that it gives. */
const BY_PROMETHEUS = ["up"];
const TARGET_LABELS = ["job", "instance"];

describe("every metric that is shown or watched", () => {
  let system: RunningSystem;
  let names: string[];
  let source: string;

  beforeAll(async () => {
    system = await startOneProcess();
    names = (await scrape(system.processes[0]?.opsUrl ?? "")).names;
    source = ["lib", "services/api", "services/auth", "services/tasks"]
      .map((folder) => readFileSync(`${folder}/metrics.ts`, "utf8"))
      .join("\n");
  }, 60_000);
  afterAll(() => system?.stop());

  test.each([...shown, ...watched])("of %s is one that a running process has, by its labels", (_of, expr) => {
    const metrics = metricsIn(expr);
    expect(metrics).not.toEqual([]);
    for (const { metric, labels } of metrics) {
      expect([...BY_PROMETHEUS, ...names]).toContain(metric);
      const declared = labelsOf(metric.replace(/_(bucket|sum|count)$/, ""));
      for (const label of labels) expect([...TARGET_LABELS, "le", ...declared]).toContain(label);
    }
  });

  test("is described in docs/observability.md, and nothing else is", () => {
    const documented = [...readFileSync("docs/observability.md", "utf8").matchAll(/^\| `(taskmesh_\w+)`/gm)];
    const ours = [...source.matchAll(/name: "(taskmesh_\w+)"/g)];
    expect(documented.map(([, name]) => name).sort()).toEqual(ours.map(([, name]) => name).sort());
  });

  test("of ours is shown on the dashboard", () => {
    const onIt = new Set(shown.flatMap(([, expr]) => metricsIn(expr).map(({ metric }) => metric)));
    for (const [, name] of source.matchAll(/name: "(taskmesh_\w+)"/g))
      expect([...onIt].map((metric) => metric.replace(/_(bucket|sum|count)$/, ""))).toContain(name);
  });

  /** Label names as the program declares them. */
  function labelsOf(metric: string): string[] {
    const declared = source.slice(source.indexOf(`name: "${metric}"`)).split("registers")[0] ?? "";
    return [...(/labelNames: \[([^\]]*)\]/.exec(declared)?.[1] ?? "").matchAll(/"(\w+)"/g)].map(
      ([, name = ""]) => name,
    );
  }
});

describe("the dashboard", () => {
  test("is one that Grafana takes, with a data source to choose", () => {
    const grid = Joi.number().integer().min(0).required();
    const target = Joi.object({
      refId: Joi.string().required(),
      expr: Joi.string().required(),
      // biome-ignore lint/suspicious/noTemplateCurlyInString: Grafana's own placeholder
      datasource: Joi.object({ type: "prometheus", uid: "${datasource}" }).required(),
    }).unknown();
    const schema = Joi.object({
      uid: Joi.string().max(40).required(),
      title: Joi.string().required(),
      schemaVersion: Joi.number().integer().min(36).required(),
      panels: Joi.array()
        .items(
          Joi.object({
            id: Joi.number().integer().required(),
            type: Joi.string().valid("row", "stat", "timeseries").required(),
            title: Joi.string().required(),
            gridPos: Joi.object({ x: grid, y: grid, w: grid.max(24), h: grid }).required(),
            targets: Joi.array().items(target),
          }).unknown(),
        )
        .unique("id")
        .required(),
      templating: Joi.object({
        list: Joi.array()
          .ordered(
            Joi.object({ name: "datasource", type: "datasource", query: "prometheus" }).unknown(),
            Joi.object({ name: "job", type: "query" }).unknown(),
          )
          .required(),
      }).required(),
    }).unknown();
    expect(schema.validate(dashboard).error).toBeUndefined();
  });

  test("counts Taskmesh's processes alone where all are chosen, and not whatever else Prometheus reads", () => {
    for (const variable of dashboard.templating.list) expect(variable).not.toHaveProperty("allValue");
  });

  test("has no two panels in one place", () => {
    const taken = new Map<string, string>();
    for (const { title, gridPos } of dashboard.panels)
      for (let x = gridPos.x; x < gridPos.x + gridPos.w; x++)
        for (let y = gridPos.y; y < gridPos.y + gridPos.h; y++) {
          expect([title, x, y, taken.get(`${x}/${y}`)]).toEqual([title, x, y, undefined]);
          expect(x).toBeLessThan(24);
          taken.set(`${x}/${y}`, title);
        }
  });
});

describe("the alert rules", () => {
  test("are ones that Prometheus takes", () => {
    const rule = Joi.object({
      alert: Joi.string()
        .pattern(/^[A-Za-z]+$/)
        .required(),
      expr: Joi.string().required(),
      for: Joi.string().pattern(/^\d+[smh]$/),
      labels: Joi.object({ severity: Joi.string().valid("critical", "warning").required() }).required(),
      annotations: Joi.object({
        summary: Joi.string().required(),
        runbook: Joi.string().required(),
      }).required(),
    });
    const group = Joi.object({
      name: Joi.string().required(),
      rules: Joi.array().items(rule).min(1).unique("alert").required(),
    });
    const file = Joi.object({ groups: Joi.array().items(group).unique("name").required() });
    expect(file.validate(parse(read("alerts.yml"))).error).toBeUndefined();
  });

  test.each(alerts.map(({ alert, expr, annotations }) => [alert, expr, annotations.summary]))(
    "name in the summary of %s only labels that its expression leaves",
    (_alert, expr, summary) => {
      const left = labelsLeft(expr);
      for (const [, label] of summary.matchAll(/\$labels\.(\w+)/g)) expect(left ?? [label]).toContain(label);
    },
  );

  test.each(alerts.map(({ alert, annotations }) => [alert, annotations.runbook]))(
    "say of %s what to do about it",
    (alert, runbook) => {
      expect(runbook).toBe(`docs/operations.md#${alert.toLowerCase()}`);
      expect(readFileSync("docs/operations.md", "utf8")).toMatch(new RegExp(`^### ${alert}$`, "m"));
    },
  );
});

describe("Prometheus and the collector", () => {
  test("find every service by its name in the compose file, on its ops port", () => {
    const services = parse(readFileSync("docker-compose.yml", "utf8"), { merge: true }).services;
    const { scrape_configs: jobs, rule_files: rules } = parse(read("prometheus.yml"));
    expect(rules).toEqual(["/etc/prometheus/alerts.yml"]);
    for (const { job_name: job, dns_sd_configs: found } of jobs) {
      expect(Object.keys(services)).toContain(job);
      expect(found).toMatchObject([{ names: [job], port: 3001 }]);
    }
    expect(jobs.map(({ job_name: job }: { job_name: string }) => job).sort()).toEqual([
      "api",
      "auth",
      "tasks",
    ]);
  });

  test("use nothing that is not set up", () => {
    const { service, ...parts } = parse(read("otel-collector.yml"));
    const { receivers, processors, exporters } = service.pipelines.traces;
    for (const [kind, names] of Object.entries({
      receivers,
      processors,
      exporters,
      extensions: service.extensions,
    }))
      for (const name of names) expect(Object.keys(parts[kind])).toContain(name);
    expect(parts.receivers.otlp.protocols.http.endpoint).toMatch(/:4318$/);
  });
});
