/**
 * What `auth.verify` takes over RabbitMQ for a caller in another process, idle and under a flood of sign-ins, in one
 * run and taking turns: DATABASE_URL=postgres://localhost AMQP_URL=amqp://localhost npm run bench:verify
 */
import { setTimeout as delay } from "node:timers/promises";
import { ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import { isProblem } from "../lib/errors.ts";
import config from "../moleculer.config.ts";
import type { SignedIn } from "../services/auth/auth.schema.ts";
import { startMesh } from "../tests/support/system.ts";

const ROUNDS = 4;
/** Milliseconds. */
const ROUND = 5_000;
const BETWEEN_CALLS = 5;
/** People who sign in again and again; one who is refused tries again after about so many milliseconds. */
const CROWD = 40;
const AFTER_REFUSAL = 100;

const { BCRYPT_COST } = loadEnv("DATABASE_URL", "AMQP_URL");
const account = { email: "ada@example.com", password: "correct horse battery staple" };

const system = await startMesh({ BCRYPT_COST: String(BCRYPT_COST) });
const broker = new ServiceBroker({ ...config, namespace: system.namespace, logLevel: "fatal" });
await broker.start();
await broker.waitForServices("auth");
await broker.call("auth.register", account);
const signIn = (): Promise<SignedIn> => broker.call("auth.login", account);
const { accessToken } = await signIn();

let crowdIn = false;
let [signedIn, refused, failed] = [0, 0, 0];

async function person(): Promise<void> {
  while (crowdIn) {
    try {
      await signIn();
      signedIn++;
    } catch (error) {
      if (isProblem(error, "overloaded")) refused++;
      else failed++;
      await delay(AFTER_REFUSAL * (0.5 + Math.random()));
    }
  }
}

async function verifyFor(duration: number): Promise<number[]> {
  const taken: number[] = [];
  const end = performance.now() + duration;
  while (performance.now() < end) {
    const startedAt = performance.now();
    await broker.call("auth.verify", { token: accessToken });
    taken.push(performance.now() - startedAt);
    await delay(BETWEEN_CALLS);
  }
  return taken;
}

await verifyFor(ROUND);
const times: Record<string, number[]> = { idle: [], flood: [] };
for (let round = 0; round < ROUNDS; round++) {
  times.idle?.push(...(await verifyFor(ROUND)));
  crowdIn = true;
  const crowd = Array.from({ length: CROWD }, person);
  times.flood?.push(...(await verifyFor(ROUND)));
  crowdIn = false;
  await Promise.all(crowd);
}

for (const [name, taken] of Object.entries(times)) {
  const sorted = taken.sort((a, b) => a - b);
  const at = (share: number): string => (sorted[Math.floor(sorted.length * share)] ?? 0).toFixed(2);
  console.log(`${name.padEnd(6)} p50 ${at(0.5)} ms   p99 ${at(0.99)} ms   (${sorted.length} calls)`);
}
const seconds = (ROUNDS * ROUND) / 1000;
const rate = (count: number): string => `${(count / seconds).toFixed(1)}/s`;
console.log(`signed in ${rate(signedIn)}, refused ${rate(refused)}, failed otherwise ${rate(failed)}`);
await broker.stop();
await system.stop();
process.exit(0);
