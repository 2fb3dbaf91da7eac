/**
 * What a call over a cluster of three RabbitMQs on this machine takes for one client, by the kind of the nodes' queues,
 * taking turns: npm run bench:queues
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrokerOptions, ServiceBroker, Transporters } from "moleculer";
import config from "../moleculer.config.ts";
import { openCluster } from "../tests/support/rabbitmq-cluster.ts";

const ROUNDS = 5;
const CALLS = 200;

const tuned = config.transporter instanceof Transporters.AMQP ? config.transporter.opts : { prefetch: 100 };
const expiring = { autoDelete: false, expires: 30_000 };
const kinds: Record<string, object> = {
  durable: { ...expiring },
  exclusive: { exclusive: true },
  quorum: { ...expiring, arguments: { "x-queue-type": "quorum" } },
};

const brokerFor = (kind: string, role: string, url: string): ServiceBroker => {
  const { queueOptions: _own, ...options } = tuned;
  const quiet: BrokerOptions = { logLevel: "error", skipProcessEventRegistration: true };
  return new ServiceBroker({
    ...config,
    ...quiet,
    transporter: new Transporters.AMQP({ ...options, url, queueOptions: kinds[kind] ?? {} }),
    namespace: `bench-${kind}`,
    nodeID: `${role}-${kind}`,
  });
};

const [role, kind = "", url = ""] = process.argv.slice(2);
if (role === "echo") await serve();
else await measure();

async function serve(): Promise<void> {
  const broker = brokerFor(kind, "echo", url);
  const echo = { access: "open", handler: (ctx: { params: unknown }) => ctx.params };
  broker.createService({ name: "echo", actions: { say: echo } });
  await broker.start();
  process.send?.("started");
  process.once("disconnect", () => process.exit(0));
}

async function measure(): Promise<void> {
  const cluster = await openCluster(mkdtempSync(join(tmpdir(), "bus-queues-")), 3);
  // Caller and callee on two of the three, as in production for the most part.
  const [ofCaller = "", ofEcho = ""] = cluster.members.map((member) => member.url);
  const callers: [string, ServiceBroker][] = [];
  for (const name of Object.keys(kinds)) {
    await once(fork(import.meta.filename, ["echo", name, ofEcho]), "message");
    const broker = brokerFor(name, "caller", ofCaller);
    await broker.start();
    await broker.waitForServices("echo");
    callers.push([name, broker]);
  }
  const times = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, broker] of callers) {
      const taken = times.get(name) ?? [];
      times.set(name, taken);
      for (let call = 0; call < CALLS; call++) {
        const startedAt = performance.now();
        await broker.call("echo.say", { hello: "world" });
        taken.push(performance.now() - startedAt);
      }
    }
  }
  for (const [name, taken] of times) {
    const sorted = taken.sort((a, b) => a - b);
    const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
    console.log(`${name.padEnd(9)} p50 ${at(0.5)} ms   p99 ${at(0.99)} ms   (${sorted.length} calls)`);
  }
  await cluster.release();
  process.exit(0);
}
