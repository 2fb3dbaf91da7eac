import { createHash, randomBytes } from "node:crypto";

/** RabbitMQ's user for a service of this mesh. */
export const busUser = (namespace: string, service: string): string => `${namespace}-${service}`;

/** Stands in a node's id between its service and the rest; no service's name has it. */
const SEPARATOR = "@";

/** Begins the ids of the nodes that run this service: queues are named after nodes, and rights after queues. */
export const nodePrefix = (service: string): string => `${service}${SEPARATOR}`;

/** The service that a node's id names; `""` when it names none. */
export const serviceOfNode = (nodeId: string): string =>
  nodeId.slice(0, Math.max(0, nodeId.indexOf(SEPARATOR)));

/** Moleculer's packets that reach every node, by an exchange. */
const BROADCAST = ["DISCOVER", "INFO", "DISCONNECT", "HEARTBEAT", "PING"];
/** Those that a node sends so: it asks a node for an answer by that node's queue. */
const SENT = BROADCAST.filter((packet) => packet !== "PING");
/** Its packets to one node, by the default exchange to that node's queue. */
const DIRECT = ["EVENT", "REQ", "RES", "PONG"];

/** As RabbitMQ keeps a password: a random salt, and SHA-256 of salt and password. */
export function hashBusPassword(password: string, salt = randomBytes(4)): string {
  const hash = createHash("sha256").update(salt).update(password, "utf8").digest();
  return Buffer.concat([salt, hash]).toString("base64");
}

/**
 * RabbitMQ's definitions for a mesh whose services each have a user: these users and no other, the exchanges, and
 * rights to a node's own queues alone. Which right is for what: docs/decisions/0014-a-bus-user-per-service.md.
 */
export function busDefinitions(namespace: string, passwordHashes: Record<string, string>) {
  const prefix = `MOL-${namespace}`;
  const vhost = "/";
  const services = Object.entries(passwordHashes);
  const exchange = (packets: string[]): string => `${prefix}\\.(${packets.join("|")})`;
  /** The queues of a service's nodes for these packets. */
  const queue = (packets: string[], service: string): string =>
    `${exchange(packets)}\\.${nodePrefix(service)}.+`;
  const all = [...BROADCAST, ...DIRECT];
  return {
    vhosts: [{ name: vhost }],
    users: services.map(([service, hash]) => ({
      name: busUser(namespace, service),
      password_hash: hash,
      hashing_algorithm: "rabbit_password_hashing_sha256",
      tags: [],
    })),
    permissions: services.map(([service]) => ({
      user: busUser(namespace, service),
      vhost,
      configure: `^${queue(all, service)}$`,
      // The default exchange for what goes to one node; a queue of its own, to bind it.
      write: `^(amq\\.default|${exchange(SENT)}|${queue(BROADCAST, service)})$`,
      read: `^(${exchange(BROADCAST)}|${queue(all, service)})$`,
    })),
    exchanges: BROADCAST.map((packet) => ({
      name: `${prefix}.${packet}`,
      vhost,
      type: "fanout",
      durable: true,
      auto_delete: false,
      internal: false,
      arguments: {},
    })),
  };
}
