/**
 * npm run bench:queues
 *
 * What a call over a cluster of three RabbitMQs on this machine takes for one client, by the kind of the nodes' queues.
 */
import { fork } from "node:child_process";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type BrokerOptions, ServiceBroker, Transporters } from "moleculer";
import config from "../moleculer.config.ts";
import { openCluster } from "../tests/support/rabbitmq-cluster.ts";
import { type Bus, compareBuses, serveEcho } from "./support/echo.ts";

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
if (role === "echo") await serveEcho(brokerFor(kind, "echo", url));
else {
  const cluster = await openCluster(mkdtempSync(join(tmpdir(), "bus-queues-")), 3);
  // Caller and callee on two of the three, as in production for the most part.
  const [ofCaller = "", ofEcho = ""] = cluster.members.map((member) => member.url);
  const bus = (name: string): Bus => ({
    caller: brokerFor(name, "caller", ofCaller),
    echo: fork(import.meta.filename, ["echo", name, ofEcho]),
  });
  await compareBuses(Object.fromEntries(Object.keys(kinds).map((name) => [name, bus(name)])));
  await cluster.release();
}
