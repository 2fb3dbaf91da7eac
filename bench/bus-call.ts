/**
 * What a call over RabbitMQ takes for one client, with Moleculer's defaults and with moleculer.config.ts, in one
 * run and taking turns: AMQP_URL=amqp://localhost npm run bench:bus
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { type BrokerOptions, ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import config from "../moleculer.config.ts";

const ROUNDS = 5;
const CALLS = 200;

const { AMQP_URL } = loadEnv("AMQP_URL");
const quiet: BrokerOptions = { logLevel: "error", skipProcessEventRegistration: true };
const variants: Record<string, BrokerOptions> = {
  defaults: { ...quiet, transporter: { type: "AMQP", options: { url: AMQP_URL } } },
  tuned: { ...config, ...quiet },
};
const brokerFor = (variant: string, role: string): ServiceBroker =>
  new ServiceBroker({
    ...variants[variant],
    namespace: `bench-${variant}`,
    nodeID: `${role}-${variant}-${process.pid}`,
  });

const [role, variant = ""] = process.argv.slice(2);
if (role === "echo") await serve();
else await measure();

async function serve(): Promise<void> {
  const broker = brokerFor(variant, "echo");
  const echo = { access: "open", handler: (ctx: { params: unknown }) => ctx.params };
  broker.createService({ name: "echo", actions: { say: echo } });
  await broker.start();
  process.send?.("started");
  process.once("disconnect", () => process.exit(0));
}

async function measure(): Promise<void> {
  const callers: [string, ServiceBroker][] = [];
  for (const name of Object.keys(variants)) {
    await once(fork(import.meta.filename, ["echo", name]), "message");
    const broker = brokerFor(name, "caller");
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
  process.exit(0);
}
