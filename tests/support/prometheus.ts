/** What one process shows at `GET /metrics`, in Prometheus's text format. */
export interface Scrape {
  text: string;
  /** Names of all series there can be, samples or not: a histogram's with `_bucket`, `_sum` and `_count`. */
  names: string[];
  /** Values of all labels. */
  labels: string[];
  /** The value of one series; throws when there is none with exactly these labels. */
  value(name: string, labels: Record<string, string>): number;
}

export async function scrape(opsUrl: string): Promise<Scrape> {
  const response = await fetch(`${opsUrl}/metrics`);
  if (!response.ok || !response.headers.get("content-type")?.startsWith("text/plain; version=0.0.4"))
    throw new Error(`${opsUrl}/metrics answers ${response.status}`);
  const text = await response.text();
  const lines = text.split("\n");
  const samples = lines.flatMap((line) => {
    const [, name, labels = "", value] = /^([a-z_]+)(?:\{(.*)\})? (\S+)$/.exec(line) ?? [];
    return name === undefined ? [] : [{ name, labels: readLabels(labels), value: Number(value) }];
  });
  const names = lines.flatMap((line) => {
    const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
    if (name === undefined) return [];
    return type === "histogram" ? ["_bucket", "_sum", "_count"].map((suffix) => name + suffix) : [name];
  });
  return {
    text,
    names,
    labels: samples.flatMap(({ labels }) => Object.values(labels)),
    value(name, wanted) {
      const found = samples.find(
        (sample) =>
          sample.name === name &&
          JSON.stringify(Object.entries(sample.labels).sort()) ===
            JSON.stringify(Object.entries(wanted).sort()),
      );
      if (!found) throw new Error(`no ${name} with ${JSON.stringify(wanted)} in:\n${text}`);
      return found.value;
    },
  };
}

const readLabels = (text: string): Record<string, string> =>
  Object.fromEntries(
    [...text.matchAll(/([a-z_]+)="([^"]*)"/g)].map(([, name = "", value = ""]) => [name, value]),
  );
