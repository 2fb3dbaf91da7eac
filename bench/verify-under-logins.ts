/**
 * npm run bench:verify
 *
 * What `auth.verify` takes over RabbitMQ for a caller in a process of its own, idle and under a flood of sign-ins, in
 * one run and taking turns.
 */
import { fork } from "node:child_process";
import { once } from "node:events";
import { setTimeout as delay } from "node:timers/promises";
import { ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import { isProblem } from "../lib/errors.ts";
import config from "../moleculer.config.ts";
import type { SignedIn } from "../services/auth/sessions.schema.ts";
import { startMesh } from "../tests/support/system.ts";
import { inShort } from "./support/statistics.ts";

const ROUNDS = 4;
/** Milliseconds. */
const ROUND = 5_000;
const BETWEEN_CALLS = 5;
/** People who sign in again and again; one who is refused tries again after about so many milliseconds. */
const CROWD = 40;
const AFTER_REFUSAL = 100;

const { BCRYPT_COST } = loadEnv();
const account = { email: "ada@example.com", password: "correct horse battery staple" };

const [role, meshOfCrowd = ""] = process.argv.slice(2);
if (role === "crowd") await signInOnDemand(await join(meshOfCrowd));
else await measure();

async function join(namespace: string): Promise<ServiceBroker> {
  const broker = new ServiceBroker({ ...config, namespace, logLevel: "fatal" });
  await broker.start();
  await broker.waitForServices("auth");
  return broker;
}

/** The crowd comes and goes with each message of its parent; when it has gone it says what became of it. */
async function signInOnDemand(broker: ServiceBroker): Promise<void> {
  process.once("disconnect", () => process.exit(0));
  process.send?.("ready");
  for (;;) {
    await once(process, "message");
    const seen = { signedIn: 0, refused: 0, failed: 0 };
    let here = true;
    const person = async (): Promise<void> => {
      while (here) {
        try {
          await broker.call("auth.login", account);
          seen.signedIn++;
        } catch (error) {
          seen[isProblem(error, "overloaded") ? "refused" : "failed"]++;
          await delay(AFTER_REFUSAL * (0.5 + Math.random()));
        }
      }
    };
    const crowd = Array.from({ length: CROWD }, person);
    await once(process, "message");
    here = false;
    await Promise.all(crowd);
    process.send?.(seen);
  }
}

async function measure(): Promise<void> {
  const system = await startMesh({ BCRYPT_COST: String(BCRYPT_COST) });
  const broker = await join(system.namespace);
  await broker.call("auth.register", account);
  const { accessToken } = await broker.call<SignedIn, object>("auth.login", account);
  const crowd = fork(import.meta.filename, ["crowd", system.namespace]);
  await once(crowd, "message");

  const verifyForARound = async (): Promise<number[]> => {
    const taken: number[] = [];
    const end = performance.now() + ROUND;
    while (performance.now() < end) {
      const startedAt = performance.now();
      await broker.call("auth.verify", { token: accessToken });
      taken.push(performance.now() - startedAt);
      await delay(BETWEEN_CALLS);
    }
    return taken;
  };

  await verifyForARound();
  const [idle, flood]: [number[], number[]] = [[], []];
  const total = { signedIn: 0, refused: 0, failed: 0 };
  for (let round = 0; round < ROUNDS; round++) {
    idle.push(...(await verifyForARound()));
    crowd.send("come");
    flood.push(...(await verifyForARound()));
    crowd.send("go");
    const [seen] = await once(crowd, "message");
    for (const name of ["signedIn", "refused", "failed"] as const) total[name] += seen[name];
  }

  for (const [name, taken] of Object.entries({ idle, flood }))
    console.log(`${name.padEnd(6)} ${inShort(taken)}`);
  const rate = (count: number): string => `${(count / ((ROUNDS * ROUND) / 1000)).toFixed(1)}/s`;
  console.log(
    `signed in ${rate(total.signedIn)}, refused ${rate(total.refused)}, failed ${rate(total.failed)}`,
  );
  crowd.disconnect();
  await broker.stop();
  await system.stop();
  process.exit(0);
}
