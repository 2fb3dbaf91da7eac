/**
 * Breaks a mesh of two processes of each service, one fault after another, while people use it:
 *
 *   npm run drill                 all faults, which takes some five minutes
 *   npm run drill -- "kill -9"    those whose name matches this
 *
 * It starts its own PostgreSQL and RabbitMQ, which have to be installed. Exits with 1 when a goal is missed.
 */
import { randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { cpus, loadavg } from "node:os";
import { setTimeout as delay } from "node:timers/promises";
import { startOnSmallDisk } from "./drill/disk.ts";
import { faults } from "./drill/faults.ts";
import { startDrillMesh } from "./drill/mesh.ts";
import { isGood, openScene, type Row } from "./drill/scene.ts";

const PEOPLE = 12;
const FULL_DISK = "full disk under the embedded database, 8 s";

const [wanted = ""] = process.argv.slice(2);
const isWanted = (name: string): boolean => new RegExp(wanted).test(name);
for (const signal of ["SIGINT", "SIGTERM"] as const) process.once(signal, () => process.exit(1));
const chosen = faults.filter(({ name }) => isWanted(name));
const rows: Row[] = [];
if (chosen.length > 0) await drillMesh();
if (isWanted(FULL_DISK)) await drillDisk();

async function drillMesh(): Promise<void> {
  const mesh = await startDrillMesh(randomBytes(4).toString("hex"));
  const scene = await openScene(mesh.gateways, mesh.databaseUrl, PEOPLE);
  for (const fault of chosen) {
    console.error(`  ${fault.name}…`);
    const row = await scene.play({
      ...fault,
      inject: () => fault.inject(mesh),
      heal: async () => fault.heal?.(mesh),
      died: mesh.died,
    });
    rows.push(row);
    await delay(1_000);
  }
  await scene.close();
  await mesh.stop();
}

async function drillDisk(): Promise<void> {
  console.error(`  ${FULL_DISK}…`);
  const system = await startOnSmallDisk().catch((error: unknown) => {
    console.error(
      `    left out, no small disk can be made here: ${error instanceof Error ? error.message : error}`,
    );
  });
  if (!system) return;
  const scene = await openScene([system.baseUrl], system.databaseUrl, 4);
  const row = await scene.play({
    name: FULL_DISK,
    outage: true,
    async inject() {
      for (let second = 0; second < 8; second++) {
        system.fill();
        await delay(1_000);
      }
    },
    heal: async () => system.free(),
    died: system.died,
  });
  rows.push(row);
  await scene.close();
  await system.stop();
}

console.log("| fault | requests | failed | slowest | recovered | lost | doubled |");
console.log("| --- | ---: | ---: | ---: | ---: | ---: | ---: |");
for (const { fault, requests, failed, outage, slowestMs, recoveredMs, lost, doubled } of rows) {
  const failures = outage && failed > 0 ? `${failed} (expected)` : failed;
  const recovered = recoveredMs === null ? "never" : `${recoveredMs} ms`;
  console.log(
    `| ${fault} | ${requests} | ${failures} | ${slowestMs} ms | ${recovered} | ${lost} | ${doubled} |`,
  );
}
if (wanted === "") {
  const machine = { cpus: cpus().length, load: loadavg()[0] };
  const file = new URL("results/drill.json", import.meta.url);
  writeFileSync(file, `${JSON.stringify({ machine, faults: rows }, null, 2)}\n`);
}
const missed = rows.filter((row) => !isGood(row));
if (missed.length > 0) console.error(`Goals missed: ${missed.map(({ fault }) => fault).join("; ")}.`);
process.exit(missed.length > 0 ? 1 : 0);
