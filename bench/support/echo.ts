import type { ChildProcess } from "node:child_process";
import { once } from "node:events";
import type { ServiceBroker } from "moleculer";
import { inShort } from "./statistics.ts";

const ROUNDS = 5;
const CALLS = 200;

/** In a process that was forked: answers calls of `echo.say` until its parent has gone. */
export async function serveEcho(broker: ServiceBroker): Promise<void> {
  const say = { access: "open", handler: (ctx: { params: unknown }) => ctx.params };
  broker.createService({ name: "echo", actions: { say } });
  await broker.start();
  process.send?.("started");
  process.once("disconnect", () => process.exit(0));
}

/** One way between two processes. */
export interface Bus {
  caller: ServiceBroker;
  /** Runs `serveEcho`. */
  echo: ChildProcess;
}

/** What a call takes for one client over each of them, taking turns. Prints it, and ends them. */
export async function compareBuses(buses: Record<string, Bus>): Promise<void> {
  for (const { caller, echo } of Object.values(buses)) {
    await once(echo, "message");
    await caller.start();
    await caller.waitForServices("echo");
  }
  const times = new Map<string, number[]>();
  for (let round = 0; round < ROUNDS; round++) {
    for (const [name, { caller }] of Object.entries(buses)) {
      const taken = times.get(name) ?? [];
      times.set(name, taken);
      for (let call = 0; call < CALLS; call++) {
        const startedAt = performance.now();
        await caller.call("echo.say", { hello: "world" });
        taken.push(performance.now() - startedAt);
      }
    }
  }
  for (const [name, taken] of times) console.log(`${name.padEnd(9)} ${inShort(taken)}`);
  for (const { caller, echo } of Object.values(buses)) {
    await caller.stop();
    echo.disconnect();
  }
}
