/**
 * npm run bench:bus
 *
 * What a call over RabbitMQ takes for one client, with Moleculer's defaults and with moleculer.config.ts.
 */
import { fork } from "node:child_process";
import { type BrokerOptions, ServiceBroker } from "moleculer";
import { loadEnv } from "../config/env.ts";
import config from "../moleculer.config.ts";
import { type Bus, compareBuses, serveEcho } from "./support/echo.ts";

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
if (role === "echo") await serveEcho(brokerFor(variant, "echo"));
else {
  const bus = (name: string): Bus => ({
    caller: brokerFor(name, "caller"),
    echo: fork(import.meta.filename, ["echo", name]),
  });
  await compareBuses(Object.fromEntries(Object.keys(variants).map((name) => [name, bus(name)])));
}
