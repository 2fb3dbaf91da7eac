/**
 * npm run bench:against -- FOLDER
 *
 * What a list costs in this checkout, against the one in FOLDER (of an older commit, after npm ci): the mesh of each and
 * the bare server, taking turns in one run. Machines differ and change from one minute to the next; the quotient of two
 * turns that follow each other is what can be told of.
 */
import { join, resolve } from "node:path";
import { Client } from "pg";
import { startBare } from "./support/bare.ts";
import { countCpu, findBackends, type Processes, processesOf, processesWith } from "./support/cpu.ts";
import { putLoad } from "./support/load.ts";
import { buildPeople, readBy } from "./support/people.ts";
import { median, quantile } from "./support/statistics.ts";

const PEOPLE = 16;
const CLIENTS = 32;
/** Many and short: machines change from one second to the next, and a change of a twentieth is to be seen. */
const TURNS = 60;
const SECONDS = { warmUp: 10, clients: 1, oneClient: 0.5 };

/**
 * What one turn showed: lists a second of 32 clients, what one client alone waits for a list in milliseconds, and a list's
 * processor time in microseconds, of each process and of all.
 */
type Turn = Record<string, number>;

const [other] = process.argv.slice(2);
if (other === undefined)
  throw new Error("Name the folder of another checkout: npm run bench:against -- FOLDER");
const theirs = await startMeshOf(resolve(other));
const ours = await startMeshOf(join(import.meta.dirname, ".."));
const bare = await startBare(ours.mesh);
const turns: Record<"theirs" | "ours" | "bare", Turn[]> = { theirs: [], ours: [], bare: [] };
const inTurn: [keyof typeof turns, () => Promise<Turn>][] = [
  ["theirs", () => measureMesh(theirs)],
  ["bare", () => measure(bare.origin, ours.list, bare.processes)],
  ["ours", () => measureMesh(ours)],
];
for (let turn = 0; turn < TURNS; turn += 1) {
  // There and back, so that none is always the first.
  for (const [name, measured] of turn % 2 === 0 ? inTurn : inTurn.toReversed())
    turns[name].push(await measured());
}
bare.stop();
for (const { mesh, database } of [theirs, ours]) {
  await database.end();
  await mesh.stop();
}
report();
process.exit(0);

async function startMeshOf(folder: string) {
  const system: typeof import("../tests/support/system.ts") = await import(
    join(folder, "tests", "support", "system.ts")
  );
  const mesh = await system.startMesh({ LOG_LEVEL: "info" });
  const database = new Client({ connectionString: mesh.databaseUrl });
  await database.connect();
  const list = readBy(await buildPeople(mesh, database, PEOPLE), "/tasks");
  await putLoad({ origin: mesh.baseUrl, request: list, clients: CLIENTS, seconds: SECONDS.warmUp });
  return { mesh, database, list };
}

async function measureMesh({ mesh, database, list }: Awaited<ReturnType<typeof startMeshOf>>): Promise<Turn> {
  const backends = await findBackends(database);
  return measure(mesh.baseUrl, list, {
    ...processesOf(mesh.processes),
    rabbitmq: () => processesWith("beam.smp"),
    postgres: () => backends,
  });
}

async function measure(
  origin: string,
  request: ReturnType<typeof readBy>,
  processes: Processes,
): Promise<Turn> {
  const cpu = countCpu(processes);
  const load = { origin, request };
  const { rate, requests } = await putLoad({ ...load, clients: CLIENTS, seconds: SECONDS.clients });
  const micros = Object.entries(cpu()).map(([name, each]): [string, number] => [name, each / requests]);
  const alone = await putLoad({ ...load, clients: 1, seconds: SECONDS.oneClient });
  return {
    rate,
    oneClientMs: median(alone.latencies),
    cpuMicros: micros.reduce((sum, [, each]) => sum + each, 0),
    ...Object.fromEntries(micros),
  };
}

/** Medians, and ours as a multiple of theirs: the median of the turns, and what the middle half of them lie between. */
function report(): void {
  const figures = Object.keys(turns.ours[0] ?? {});
  console.table(
    Object.fromEntries(
      figures.map((figure) => {
        const of = (name: keyof typeof turns): number[] =>
          turns[name].map((turn) => turn[figure] ?? Number.NaN);
        const quotients = of("ours").map((each, turn) => each / (of("theirs")[turn] ?? Number.NaN));
        const at = (share: number): string => quantile(quotients, share).toFixed(2);
        return [
          figure,
          {
            // It is one process, of another name.
            ...(turns.bare[0]?.[figure] === undefined ? {} : { bare: rounded(median(of("bare"))) }),
            theirs: rounded(median(of("theirs"))),
            ours: rounded(median(of("ours"))),
            "ours / theirs": at(0.5),
            "of half of the turns": `${at(0.25)} to ${at(0.75)}`,
          },
        ];
      }),
    ),
  );
}

function rounded(value: number): number {
  return Number(value.toPrecision(3));
}
