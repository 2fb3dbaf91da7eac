import type { ServiceBroker } from "moleculer";
import { publisherOf } from "./amqp-transporter.ts";
import { busUser, serviceOfNode } from "./bus-users.ts";

/**
 * Characters of the longest id whose node has queues: RabbitMQ allows their names 255 bytes. The answer to a longer
 * one could not be sent, and RabbitMQ would deliver the request again without end.
 */
const MAX_NODE_ID = 150;

interface Received {
  cmd: string;
  /** Whatever the sender wrote. */
  payload: unknown;
  /** RabbitMQ's user that sent it, checked by RabbitMQ. */
  publisher: unknown;
}

interface Receiver {
  nodeId: string;
  namespace: string;
  /** Whether each service has a RabbitMQ user of its own. */
  ownUsers: boolean;
  /** The node that a request which waits for its answer was sent to. */
  askedNode: (requestId: string) => string | undefined;
}

/**
 * Why a packet is not to be believed, or `null`. What a node does itself never comes from the wire, so nothing that
 * does may speak in its name; and an answer needs a node to go to. With a user for each service, a node speaks for the service of its user alone:
 * `taskmesh-auth` as a node `auth@…` that announces `auth` and its actions, and answers what that node was asked.
 */
export function objectionTo({ cmd, payload, publisher }: Received, receiver: Receiver): string | null {
  const { sender, id, services } = fields(payload);
  if (sender === receiver.nodeId) return "speaks in this node's own name";
  if (typeof sender !== "string" || sender === "" || sender.length > MAX_NODE_ID) return "has no sender";
  if (!receiver.ownUsers) return null;
  const service = serviceOfNode(sender);
  if (publisher === undefined) return "does not say which user sent it";
  if (service === "" || publisher !== busUser(receiver.namespace, service)) {
    return "speaks in the name of another service's node";
  }
  if (cmd === "INFO" && !announcedNames(services).every((name) => belongsTo(service, name))) {
    return "announces what is not of that user's service";
  }
  const asked = cmd === "RES" && typeof id === "string" ? receiver.askedNode(id) : undefined;
  return asked === undefined || asked === sender ? null : "answers what another node was asked";
}

const fields = (value: unknown): Record<string, unknown> =>
  typeof value === "object" && value !== null ? { ...value } : {};

/** Names of services and actions: a service of one name may announce actions of any other. */
function announcedNames(services: unknown): unknown[] {
  if (!Array.isArray(services)) return services === undefined ? [] : [services];
  return services
    .map(fields)
    .flatMap(({ name, fullName = name, actions }) => [
      name,
      fullName,
      ...Object.values(fields(actions)).map((action) => fields(action).name),
    ]);
}

/** `auth`, `auth.verify` and, of a second version, `v2.auth.verify` are auth's. */
const belongsTo = (service: string, name: unknown): boolean =>
  typeof name === "string" && `${name.replace(/^v\d+\./, "")}.`.startsWith(`${service}.`);

/**
 * Drops what `objectionTo` objects to before Moleculer sees it, and logs the first of each kind.
 *
 * @param users whether each service has a RabbitMQ user of its own
 */
export function guardBus(broker: ServiceBroker, users: "shared" | "per-service"): void {
  const { transit } = broker;
  if (!transit) return;
  const logger = broker.getLogger("bus");
  const logged = new Set<string>();
  const receiver: Receiver = {
    nodeId: broker.nodeID,
    namespace: broker.namespace,
    ownUsers: users === "per-service",
    askedNode: (requestId) => transit.pendingRequests.get(requestId)?.nodeID,
  };
  const handle = transit.messageHandler;
  transit.messageHandler = async (cmd, packet) => {
    const publisher = publisherOf(packet);
    const { payload } = packet;
    const objection = objectionTo({ cmd, payload, publisher }, receiver);
    if (objection === null) return Reflect.apply(handle, transit, [cmd, packet]);
    // Exchanges bring a node's own broadcasts back to it.
    if (fields(payload).sender === broker.nodeID && !TO_ONE_NODE.has(cmd)) return;
    const kind = `a ${cmd} packet of ${publisher ?? "an unknown user"} ${objection}`;
    if (!logged.has(kind)) logger.warn(`Dropped, and will be from now on: ${kind}`);
    logged.add(kind);
  };
}

const TO_ONE_NODE = new Set(["REQ", "RES", "EVENT"]);
