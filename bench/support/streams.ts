import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import { buildPerson, buildTask, type Person } from "../../tests/support/client.ts";
import { openEvents } from "../../tests/support/events.ts";
import { startMesh } from "../../tests/support/system.ts";
import { countCpu } from "./cpu.ts";
import { quantile } from "./statistics.ts";

const PEOPLE = 250;
const STREAMS_EACH = 4;
const LOGOUTS = 20;
/** Milliseconds: longer than the time between two signs of life. */
const IDLE_FOR = 16_000;
const WRITE_FOR = 10_000;
/** Writes a second. */
const RATE = 50;

interface Reader extends Person {
  streams: Awaited<ReturnType<typeof openEvents>>[];
}

/**
 * What open streams cost one gateway, and how long a change and the end of a session take to reach them, over RabbitMQ:
 * on a mesh of its own, whose passwords are hashed at the lowest cost.
 */
export async function measureStreams(): Promise<Record<string, unknown>> {
  const mesh = await startMesh();
  const pid = mesh.processes.find(({ name }) => name === "api")?.child.pid ?? 0;
  const memory = (): number =>
    Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024);
  /** Of one core. */
  async function cpuShareDuring(ms: number, work: () => Promise<unknown>): Promise<number> {
    const used = countCpu({ api: () => [pid] });
    const startedAt = performance.now();
    await Promise.all([work(), delay(ms)]);
    return Number(((used().api ?? 0) / 1_000 / (performance.now() - startedAt)).toFixed(3));
  }

  const readers: Reader[] = [];
  for (let n = 0; n < PEOPLE; n += 10) {
    const people = await Promise.all(Array.from({ length: 10 }, () => buildPerson(mesh)));
    readers.push(...people.map((person) => ({ ...person, streams: [] })));
  }
  const memoryBefore = memory();
  for (const { tokens, streams } of readers) {
    for (let n = 0; n < STREAMS_EACH; n += 1)
      streams.push(await openEvents(mesh, { token: tokens.accessToken }));
  }
  const memoryOpen = memory();
  const idle = await cpuShareDuring(IDLE_FOR, async () => {});

  const fromRequest: number[] = [];
  const fromAnswer: number[] = [];
  /** Writes once, and waits until each of the person's streams has it. */
  async function write(reader: Reader): Promise<void> {
    const sentAt = performance.now();
    const arrivals = reader.streams.map(async (stream) => {
      await stream.take(stream.events.length + 1);
      return performance.now();
    });
    await buildTask(reader);
    const answeredAt = performance.now();
    for (const at of await Promise.all(arrivals)) {
      fromRequest.push(at - sentAt);
      fromAnswer.push(Math.max(0, at - answeredAt));
    }
  }
  const written: Promise<void>[] = [];
  const writing = await cpuShareDuring(WRITE_FOR, async () => {
    for (let n = 0; n < (RATE * WRITE_FOR) / 1_000; n += 1) {
      // Whose it is goes round, so that each one's writes are apart.
      const reader = readers[n % (PEOPLE - LOGOUTS)];
      if (reader) written.push(write(reader));
      await delay(1_000 / RATE);
    }
  });
  await Promise.all(written);

  const fromLogout: number[] = [];
  for (const { http, streams } of readers.slice(-LOGOUTS)) {
    const ends = streams.map(({ ended }) => ended.then(() => performance.now()));
    await http.post("/auth/logout");
    const answeredAt = performance.now();
    for (const at of await Promise.all(ends)) fromLogout.push(Math.max(0, at - answeredAt));
  }
  const memoryAfter = memory();
  await mesh.stop();
  return {
    streams: PEOPLE * STREAMS_EACH,
    ofEachPerson: STREAMS_EACH,
    writesPerSecond: RATE,
    writeRequestToEventMs: spread(fromRequest),
    writeAnswerToEventMs: spread(fromAnswer),
    logoutAnswerToEndMs: spread(fromLogout),
    gatewayCpuShare: { idle, writing },
    gatewayMemoryMb: { before: memoryBefore, open: memoryOpen, after: memoryAfter },
  };
}

function spread(values: number[]): { p50: number; p99: number } {
  values.sort((a, b) => a - b);
  const at = (share: number): number => Number(quantile(values, share).toFixed(1));
  return { p50: at(0.5), p99: at(0.99) };
}
